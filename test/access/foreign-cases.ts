/** Stories of foreign keys: tables, then statements. What PostgreSQL says to each is in foreign.recorded.txt (record-foreign.ts writes it). */
import type { TableDefinition } from './fixture.ts'

export interface Story {
  readonly name: string
  readonly tables: readonly (readonly [string, TableDefinition])[]
  readonly statements: readonly string[]
}

const ACTIONS = ['no-action', 'restrict', 'cascade', 'set-null', 'set-default'] as const

const parent: TableDefinition = {
  columns: [
    ['id', 'int4'],
    ['code', 'text'],
  ],
  primary: ['id'],
  indexes: [{ name: 'p_code_key', keys: ['code'], unique: true }],
}

const actions = ACTIONS.flatMap((action) =>
  [true, false].map(
    (indexed): Story => ({
      name: `${action}${indexed ? ' with an index' : ''}`,
      tables: [
        ['p', parent],
        [
          'c',
          {
            columns: [
              ['id', 'int4'],
              ['p', 'int4', { default: '9' }],
              ['code', 'text'],
            ],
            primary: ['id'],
            ...(indexed ? { indexes: [{ keys: ['p'] }, { keys: ['code', 'id'] }] } : {}),
            foreign: [
              { name: 'c_p_fkey', columns: ['p'], table: 'p', references: ['id'], onDelete: action, onUpdate: action },
              {
                name: 'c_code_fkey',
                columns: ['code'],
                table: 'p',
                references: ['code'],
                onDelete: action,
                onUpdate: action,
              },
            ],
          },
        ],
      ],
      statements: [
        `insert into p values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')`,
        `insert into c values (10, 1, null), (11, 1, 'two'), (12, null, 'two'), (13, 3, 'three'), (14, 2, 'one')`,
        `insert into c values (20, 7, null)`,
        `insert into c values (20, 1, 'seven')`,
        `insert into c (id) values (21)`,
        `update c set p = 8 where id = 10`,
        `update c set p = 2, code = 'four' where id = 13`,
        `update p set code = code where id = 1`,
        `update p set code = 'uno' where id = 1`,
        `update p set id = 100 where id = 1`,
        `delete from p where id = 2`,
        `delete from p where id = 3`,
        `insert into p values (9, 'nine')`,
        `update p set id = 101 where id = 2`,
        `delete from p where id = 1`,
        `delete from p where id = 4`,
        `delete from p where id = 9`,
        `delete from p where id = 101`,
      ],
    }),
  ),
)

export const STORIES: readonly Story[] = [
  ...actions,
  {
    name: 'a tree that points into itself',
    tables: [
      [
        't',
        {
          columns: [
            ['id', 'int4'],
            ['up', 'int4'],
          ],
          primary: ['id'],
          indexes: [{ keys: ['up'] }],
          foreign: [
            {
              name: 't_up_fkey',
              columns: ['up'],
              table: 't',
              references: ['id'],
              onDelete: 'cascade',
              onUpdate: 'cascade',
            },
          ],
        },
      ],
    ],
    statements: [
      'insert into t values (2, 1), (1, null), (3, 2), (4, 2), (5, 5)',
      'insert into t values (7, 8)',
      'update t set id = 20 where id = 2',
      'delete from t where id = 5',
      'delete from t where id = 20',
      'insert into t select i, i - 1 from generate_series(100, 130) i',
      'insert into t select i, nullif(i - 1, 99) from generate_series(100, 130) i',
      'delete from t where id = 100',
    ],
  },
  {
    name: 'no action looks after the statement, restrict does too',
    tables: [
      ['p', { columns: [['id', 'int4']], primary: ['id'] }],
      [
        'n',
        { columns: [['p', 'int4']], foreign: [{ name: 'n_fkey', columns: ['p'], table: 'p', references: ['id'] }] },
      ],
      [
        'r',
        {
          columns: [['p', 'int4']],
          foreign: [
            {
              name: 'r_fkey',
              columns: ['p'],
              table: 'p',
              references: ['id'],
              onDelete: 'restrict',
              onUpdate: 'restrict',
            },
          ],
        },
      ],
    ],
    statements: [
      'insert into p values (1), (2), (3)',
      'insert into n values (2), (3)',
      'update p set id = id + 10',
      'update p set id = 4 - id where id <> 2',
      'delete from n',
      'insert into r values (2)',
      'update p set id = id where id = 2',
      'update p set id = 5 where id = 2',
      'delete from p where id = 2',
      'delete from p where id = 1',
    ],
  },
  {
    name: 'several columns, simple and full',
    tables: [
      [
        'p',
        {
          columns: [
            ['a', 'int4'],
            ['b', 'text'],
            ['x', 'int4'],
          ],
          primary: ['b', 'a'],
        },
      ],
      [
        's',
        {
          columns: [
            ['i', 'int4'],
            ['b', 'text'],
            ['a', 'int8'],
          ],
          foreign: [
            {
              name: 's_fkey',
              columns: ['a', 'b'],
              table: 'p',
              references: ['a', 'b'],
              onUpdate: 'cascade',
              onDelete: 'set-null',
            },
          ],
        },
      ],
      [
        'f',
        {
          columns: [
            ['i', 'int4'],
            ['a', 'int2'],
            ['b', 'text'],
          ],
          indexes: [{ keys: ['b'] }],
          foreign: [
            {
              name: 'f_fkey',
              columns: ['a', 'b'],
              table: 'p',
              references: ['a', 'b'],
              match: 'full',
              onUpdate: 'cascade',
              onDelete: 'cascade',
            },
          ],
        },
      ],
    ],
    statements: [
      `insert into p values (1, 'x', 0), (2, 'x', 0), (1, 'y', 0)`,
      `insert into s values (1, 'x', 1), (2, null, 77), (3, 'q', null), (4, null, null)`,
      `insert into s values (5, 'x', 3)`,
      `insert into s values (5, 'x', 3000000000)`,
      `insert into f values (1, 1, 'x'), (2, null, null), (3, 1, 'y')`,
      `insert into f values (4, null, 'x')`,
      `insert into f values (4, 1, null)`,
      `insert into f values (4, 2, 'y')`,
      `update p set a = 5 where a = 1 and b = 'x'`,
      `update p set a = 70000 where a = 5`,
      `update p set x = 9`,
      `delete from p where a = 5`,
      `delete from p where a = 1`,
    ],
  },
  {
    name: 'a chain of tables with constraints of their own',
    tables: [
      ['a', { columns: [['id', 'int4']], primary: ['id'] }],
      [
        'b',
        {
          columns: [
            ['id', 'int4'],
            ['a', 'int4', { notNull: true }],
          ],
          primary: ['id'],
          foreign: [
            {
              name: 'b_a_fkey',
              columns: ['a'],
              table: 'a',
              references: ['id'],
              onDelete: 'set-null',
              onUpdate: 'cascade',
            },
          ],
          checks: { b_check: 'a < 50' },
        },
      ],
      [
        'c',
        {
          columns: [
            ['id', 'int4'],
            ['b', 'int4'],
          ],
          primary: ['id'],
          foreign: [{ name: 'c_b_fkey', columns: ['b'], table: 'b', references: ['id'], onDelete: 'cascade' }],
        },
      ],
      [
        'd',
        {
          columns: [['a', 'int4']],
          primary: ['a'],
          foreign: [
            {
              name: 'd_a_fkey',
              columns: ['a'],
              table: 'a',
              references: ['id'],
              onDelete: 'cascade',
              onUpdate: 'cascade',
            },
          ],
        },
      ],
    ],
    statements: [
      'insert into a values (1), (2), (3)',
      'insert into b values (10, 1), (20, 2)',
      'insert into c values (100, 10), (101, 10), (200, 20)',
      'insert into d values (1), (3)',
      'delete from a where id = 1',
      'update a set id = 60 where id = 2',
      'update a set id = 30 where id = 3',
      'update a set id = 40 where id = 1',
      'delete from b where id = 10',
      'delete from a where id = 40',
    ],
  },
  {
    name: 'columns of other types',
    tables: [
      ['p', { columns: [['n', 'numeric']], primary: ['n'] }],
      [
        'c',
        {
          columns: [['n', 'int4']],
          indexes: [{ keys: ['n'] }],
          foreign: [
            { name: 'c_fkey', columns: ['n'], table: 'p', references: ['n'], onDelete: 'cascade', onUpdate: 'cascade' },
          ],
        },
      ],
      ['v', { columns: [['t', 'text']], primary: ['t'] }],
      [
        'w',
        {
          columns: [['t', 'varchar(3)']],
          foreign: [{ name: 'w_fkey', columns: ['t'], table: 'v', references: ['t'], onUpdate: 'cascade' }],
        },
      ],
    ],
    statements: [
      'insert into p values (1.0), (2.5), (3)',
      'insert into c values (1), (3)',
      'insert into c values (2)',
      'delete from p where n = 1',
      'update p set n = 7.00 where n = 3',
      `insert into v values ('a'), ('abc')`,
      `insert into w values ('a'), ('abc')`,
      `insert into w values ('b')`,
      `update v set t = 'b' where t = 'a'`,
      `update v set t = 'abcd' where t = 'b'`,
      `delete from v where t = 'abc'`,
    ],
  },
  {
    name: 'deferred',
    tables: [
      ['p', { columns: [['id', 'int4']], primary: ['id'] }],
      [
        'c',
        {
          columns: [
            ['id', 'int4'],
            ['p', 'int4'],
          ],
          primary: ['id'],
          foreign: [{ name: 'c_fkey', columns: ['p'], table: 'p', references: ['id'], deferrable: 'deferred' }],
        },
      ],
      [
        'i',
        {
          columns: [['p', 'int4']],
          foreign: [
            {
              name: 'i_fkey',
              columns: ['p'],
              table: 'p',
              references: ['id'],
              deferrable: 'immediate',
              onDelete: 'cascade',
            },
          ],
        },
      ],
      [
        'u',
        {
          columns: [
            ['id', 'int4'],
            ['n', 'int4'],
          ],
          primary: ['id'],
          indexes: [{ name: 'u_n_key', keys: ['n'], unique: true, deferrable: 'deferred' }],
        },
      ],
      [
        'l',
        {
          columns: [
            ['id', 'int4'],
            ['n', 'int4'],
          ],
          primary: ['id'],
          indexes: [{ name: 'l_n_key', keys: ['n'], unique: true, deferrable: 'immediate' }],
        },
      ],
    ],
    statements: [
      'begin',
      'insert into c values (1, 1), (2, 2)',
      'insert into p values (1)',
      'commit',
      'begin',
      'insert into c values (1, 1), (2, 2)',
      'insert into p values (1)',
      'update c set p = 1 where id = 2',
      'commit',
      'begin',
      'delete from p where id = 1',
      'insert into p values (1)',
      'commit',
      'begin',
      'delete from p where id = 1',
      'commit',
      'begin',
      'insert into c values (3, 9)',
      'update c set id = 30 where id = 3',
      'commit',
      'begin',
      'insert into c values (3, 9)',
      'delete from c where id = 3',
      'commit',
      'begin',
      'insert into i values (5)',
      'commit',
      'insert into u values (1, 1), (2, 2)',
      'begin',
      'insert into u values (3, 1)',
      'update u set n = 3 where id = 1',
      'commit',
      'update u set n = 4 - n',
      'insert into u values (7, 2)',
      'insert into l values (1, 1), (2, 2), (3, 3)',
      'update l set n = n + 1',
      'update l set n = 3 where id = 1',
    ],
  },
]

/** PostgreSQL's DDL for a definition. */
export function ddlOf(name: string, definition: TableDefinition): string[] {
  const columns = definition.columns.map(([column, type, options]) =>
    [
      column,
      type,
      options?.notNull ? 'not null' : '',
      options?.default === undefined ? '' : `default ${options.default}`,
    ].join(' '),
  )
  const waiting = (deferrable: string | undefined) =>
    deferrable === undefined ? '' : ` deferrable initially ${deferrable}`
  const parts = [...columns]
  if (definition.primary) parts.push(`primary key (${definition.primary.join(', ')})`)
  for (const [check, text] of Object.entries(definition.checks ?? {})) parts.push(`constraint ${check} check (${text})`)
  for (const f of definition.foreign ?? []) {
    const action = (text: string | undefined) => (text ?? 'no-action').replace('-', ' ')
    parts.push(
      `constraint ${f.name} foreign key (${f.columns.join(', ')}) references ${f.table} (${f.references.join(', ')}) match ${f.match ?? 'simple'} on delete ${action(f.onDelete)} on update ${action(f.onUpdate)}${waiting(f.deferrable)}`,
    )
  }
  const statements: string[] = []
  for (const index of definition.indexes ?? []) {
    if (index.unique)
      parts.push(`constraint ${index.name} unique (${index.keys.join(', ')})${waiting(index.deferrable)}`)
    else statements.push(`create index on ${name} (${index.keys.join(', ')})`)
  }
  return [`create temp table ${name} (${parts.join(', ')})`, ...statements]
}
