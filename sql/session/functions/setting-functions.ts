/** current_setting, set_config, pg_settings, and the session's prepared statements and cursors (manual 9.27.1, 54). */
import { sqlError } from '../../types/error.ts'
import type { FunctionTable } from '../../types/function.ts'
import { ArrayValue, type Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { setByName } from '../control.ts'
import { allSettings } from '../settings.ts'
import { isQueryNode } from '../statement.ts'
import { cursorRows } from '../utilities/cursors.ts'
import { ofSession, rowsOfSession } from './session-function.ts'

export const SETTING_FUNCTIONS: FunctionTable = {
  show_config_by_name: ofSession((session, name: string) => session.settings.show(name)),
  show_config_by_name_missing_ok: ofSession((session, name: string, missingOk: boolean) =>
    missingOk && !session.settings.has(name) ? null : session.settings.show(name),
  ),
  set_config_by_name: ofSession((session, name: string | null, value: string | null, local: boolean | null) => {
    if (name === null) throw sqlError('22004', 'SET requires parameter name')
    setByName(session, name, value ?? undefined, local === true)
    return session.settings.show(name)
  }),
  ...rowsOfSession('show_all_settings', settingRows),
  ...rowsOfSession('show_all_file_settings', () => []),
  ...rowsOfSession('pg_prepared_statement', preparedRows),
  ...rowsOfSession('pg_cursor', cursorRows),
}

function* settingRows(session: Backend): Iterable<readonly Value[]> {
  const { settings } = session
  for (const definition of [...allSettings()].sort((x, y) => (x.name.toLowerCase() < y.name.toLowerCase() ? -1 : 1))) {
    const { name, unit, category, description, extra, context, type, min, max, values, boot } = definition
    yield [
      name,
      settings.get(name),
      unit ?? null,
      category,
      description,
      extra ?? null,
      context,
      type,
      settings.source(definition),
      min === undefined ? null : String(min),
      max === undefined ? null : String(max),
      values.length === 0 ? null : ArrayValue.of([...values]),
      boot,
      settings.resetValue(definition),
      null,
      null,
      false,
    ]
  }
  for (const name of settings.customNames()) {
    yield [
      name,
      settings.get(name),
      null,
      'Customized Options',
      '',
      null,
      'user',
      'string',
      'session',
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      false,
    ]
  }
}

/** Named ones; counts of generic and custom plans: every plan here is generic. */
function* preparedRows(session: Backend): Iterable<readonly Value[]> {
  for (const [name, { statement, fromSql, at, text }] of session.prepared) {
    if (name === '') continue
    const types = isQueryNode(statement.node)
      ? (statement.prepared?.parameterTypes ?? statement.givenTypes)
      : statement.givenTypes
    yield [name, text, at, ArrayValue.of([...types]), fromSql, statement.uses, 0]
  }
}
