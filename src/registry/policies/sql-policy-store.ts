import { integerText, RowReader } from '../sql-columns.ts'
import { asStoreError, commitWithin, insert, Outdated } from '../sql-commit.ts'
import type { SqlEngine, SqlQueries, SqlRow, SqlValue } from '../sql-engine.ts'
import { storeErrors } from '../store-errors.ts'
import {
  activationColumns,
  activationOf,
  columnsOfActivation,
  columnsOfSigner,
  columnsOfVersion,
  factsOf,
  signerColumns,
  signerOf,
  versionFactColumns,
  versionOf,
} from './policy-rows.ts'
import {
  type PolicyActivation,
  type PolicyChange,
  type PolicySituation,
  type PolicySlot,
  type PolicyStore,
  type PolicyVersion,
  type PolicyVersionFacts,
  policyPage,
  type SignerRecord,
} from './policy-store.ts'

const book = 'SELECT revision::text FROM attestd.policy_book'
const versionsFrom = 'FROM attestd.policy_versions v'
const activeFrom = `${versionsFrom} JOIN attestd.policy_active a USING (slot, number) WHERE v.slot = $1`
const activeFacts = `SELECT ${versionFactColumns} ${activeFrom}`
const activeWhole = `SELECT ${versionFactColumns}, v.upload ${activeFrom}`
const oneVersion = `SELECT ${versionFactColumns}, v.upload ${versionsFrom} WHERE v.slot = $1 AND v.number = $2`
const lastVersion = `SELECT coalesce(max(v.number), 0)::text AS number ${versionsFrom} WHERE v.slot = $1`
const somePage = `SELECT ${versionFactColumns} ${versionsFrom}
  WHERE v.slot = $1 AND v.number < $2 ORDER BY v.number DESC LIMIT ${policyPage}`
const lastActivations = `SELECT ${activationColumns} FROM attestd.policy_activations
  WHERE slot = $1 ORDER BY id DESC LIMIT ${policyPage}`
const allSlots = `SELECT DISTINCT v.slot ${versionsFrom} ORDER BY v.slot`
const trusted = `SELECT ${signerColumns} FROM attestd.policy_signers WHERE removed_at IS NULL ORDER BY id`
const everTrusted = `SELECT ${signerColumns} FROM attestd.policy_signers ORDER BY id`
const raise = `UPDATE attestd.policy_book SET revision = revision + 1 WHERE revision = $1 RETURNING revision::text`
const activate = `INSERT INTO attestd.policy_active (slot, number) VALUES ($1, $2)
  ON CONFLICT (slot) DO UPDATE SET number = EXCLUDED.number`
const deactivate = 'DELETE FROM attestd.policy_active WHERE slot = $1'
const removeSigner = `UPDATE attestd.policy_signers SET removed_at = $2, removed_by = $3
  WHERE key_sha256 = $1 AND removed_at IS NULL`

/** Policies in a database that speaks PostgreSQL, whose schema is there. Any number of verifiers may share it. */
export class SqlPolicyStore implements PolicyStore {
  #engine: SqlEngine

  constructor(engine: SqlEngine) {
    this.#engine = engine
  }

  /** The revision is read first: whatever changes after it makes it another one, and `commit` refuses. */
  async situation(slot: PolicySlot): Promise<PolicySituation> {
    const [revision] = await this.#rows(book, [])
    const signers = await this.#rows(trusted, [])
    const [active] = await this.#rows(activeFacts, [slot])
    const [last] = await this.#rows(lastVersion, [slot])
    return {
      revision: new RowReader(revision ?? missing()).integer('revision'),
      signers: signers.map(signerOf),
      active: active ? factsOf(active) : null,
      versions: new RowReader(last ?? missing()).integer('number'),
    }
  }

  async active(slot: PolicySlot): Promise<PolicyVersion | null> {
    const [row] = await this.#rows(activeWhole, [slot])
    return row ? versionOf(row) : null
  }

  async version(slot: PolicySlot, number: number): Promise<PolicyVersion | null> {
    const [row] = await this.#rows(oneVersion, [slot, integerText(number)])
    return row ? versionOf(row) : null
  }

  async versions(slot: PolicySlot, before = Number.MAX_SAFE_INTEGER): Promise<readonly PolicyVersionFacts[]> {
    return (await this.#rows(somePage, [slot, integerText(before)])).map(factsOf)
  }

  async activations(slot: PolicySlot): Promise<readonly PolicyActivation[]> {
    return (await this.#rows(lastActivations, [slot])).map(activationOf)
  }

  async slots(): Promise<readonly PolicySlot[]> {
    return (await this.#rows(allSlots, [])).map((row) => new RowReader(row).text('slot'))
  }

  async signers(): Promise<readonly SignerRecord[]> {
    return (await this.#rows(everTrusted, [])).map(signerOf)
  }

  /** Throws what the engine throws; `registry_unavailable` where the outcome is not known. */
  commit(change: PolicyChange): Promise<boolean> {
    return commitWithin(this.#engine, (database) => apply(database, change))
  }

  #rows(sql: string, parameters: readonly SqlValue[]): Promise<readonly SqlRow[]> {
    return asStoreError(() => this.#engine.query(sql, parameters))
  }
}

function missing(): never {
  throw storeErrors.error('registry_corrupt', 'the table policy_book does not have its row')
}

/** The first statement locks the book: other writers wait there until this one is done, and then find it raised. */
async function apply(database: SqlQueries, change: PolicyChange): Promise<void> {
  const { expected, version, activation, signerAdded, signerRemoved } = change
  const raised = await database.query(raise, [integerText(expected)])
  if (raised.length !== 1) throw new Outdated()
  if (version) await insert(database, 'attestd.policy_versions', columnsOfVersion(version))
  if (activation) await applyActivation(database, activation)
  if (signerAdded) await insert(database, 'attestd.policy_signers', columnsOfSigner(signerAdded))
  if (signerRemoved) {
    const { keySha256, at, by } = signerRemoved
    await database.query(removeSigner, [keySha256, integerText(at), by])
  }
}

async function applyActivation(database: SqlQueries, activation: PolicyActivation): Promise<void> {
  const { slot, number } = activation
  await insert(database, 'attestd.policy_activations', columnsOfActivation(activation))
  if (number === null) await database.query(deactivate, [slot])
  else await database.query(activate, [slot, integerText(number)])
}
