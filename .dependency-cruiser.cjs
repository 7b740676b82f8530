/**
 * Floors: a file imports from its own floor or a lower one; inside one floor, from its own folder only.
 * The list is the architecture.
 */
const FLOORS = [
  ['storage/keys'],
  ['storage/engine'],
  ['storage/mvcc'],
  ['storage/range'],
  ['storage/kv'],
  ['sql/types', 'replication'],
  ['sql/plan'],
  ['sql/catalog', 'sql/parser', 'sql/vector'],
  ['sql/binder', 'sql/access'],
  ['sql/planner', 'sql/executor'],
  ['sql/session'],
  ['server'],
  ['cluster-cli'],
]
const at = (folders) => `^(${folders.join('|')})/`
const above = FLOORS.flatMap((folders, floor) =>
  folders.map((folder) => ({
    name: `${folder} imports from its floor (${floor}) or below`,
    severity: 'error',
    from: { path: `^${folder}/` },
    to: { path: at([...FLOORS.slice(floor + 1).flat(), ...folders.filter((other) => other !== folder)]) },
  })),
)
module.exports = {
  forbidden: [
    ...above,
    { name: 'no cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'sql reaches storage only through kv, its errors and keys', severity: 'error', from: { path: '^sql/' }, to: { path: '^storage/(?!kv/kv\\.ts|range/errors\\.ts|keys/)' } },
    { name: 'sql and replication do not meet', severity: 'error', from: { path: '^sql/' }, to: { path: '^replication/' } },
    { name: 'replication and sql do not meet', severity: 'error', from: { path: '^replication/' }, to: { path: '^sql/' } },
    { name: 'product code does not import tests', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    { name: 'only storage/engine loads RocksDB', severity: 'error', from: { pathNot: '^storage/engine/' }, to: { path: 'node_modules/rocksdb' } },
    { name: 'sockets only in server, replication/transport, cluster-cli', severity: 'error', from: { pathNot: '^(server|replication/transport|cluster-cli|test)/' }, to: { path: '^(net|tls|http|dgram)$', dependencyTypes: ['core'] } },
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' }, doNotFollow: { path: 'node_modules' }, enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs'] } },
}
