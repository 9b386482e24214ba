import type { SqlEngine, SqlQueries } from './sql-engine.ts'
import { storeErrors } from './store-errors.ts'

/** "attestd" in ASCII: under it, verifiers that start at the same time wait for each other. */
const migrationLock = '27431116008027236'

const currentOutcome = `
  reset_count bigint, restart_count bigint, clock numeric(20), safe boolean,
  CHECK (num_nonnulls(reset_count, restart_count, clock, safe) IN (0, 4)),
  firmware_version text`

/**
 * What brings a database from one version of the schema to the next; the first one makes it. Never changed once
 * released: a database elsewhere has it behind it.
 */
const migrations: readonly (readonly string[])[] = [
  [
    // ENR-09: one EK for an identity. An enrolment that holds its identity refers to its holder; by their hash, since
    // no index takes a name of any length.
    `CREATE TABLE attestd.identity_holders (
      identity_key bytea PRIMARY KEY,
      ek_name text COLLATE "C" NOT NULL,
      UNIQUE (identity_key, ek_name))`,
    `CREATE TABLE attestd.enrolments (
      ak_name text COLLATE "C" PRIMARY KEY,
      version bigint NOT NULL CHECK (version > 0),
      ek_name text COLLATE "C" NOT NULL,
      ak_public bytea NOT NULL,
      ek_public bytea NOT NULL,
      ek_spki_sha256 text NOT NULL,
      ek_cert_sha256 text,
      ek_not_after bigint,
      certificates bytea NOT NULL,
      anchor text,
      identity text,
      identity_key bytea CHECK ((identity IS NULL) = (identity_key IS NULL)),
      instance_id text,
      crl_status text CHECK (crl_status IN ('fresh', 'stale', 'none', 'off')),
      crl_fresh_until bigint,
      trust text NOT NULL CHECK (trust IN ('ek-certificate', 'ek-pinned')),
      simulated boolean NOT NULL,
      created bigint NOT NULL,
      last_seen bigint NOT NULL,
      ${currentOutcome},
      checkpoint bytea,
      state text NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
      state_reason text,
      state_since bigint,
      CHECK ((state = 'active') = (state_reason IS NULL) AND (state = 'active') = (state_since IS NULL)),
      held_key bytea GENERATED ALWAYS AS
        (CASE WHEN state = 'revoked' AND state_reason = 'released' THEN NULL ELSE identity_key END) STORED,
      FOREIGN KEY (held_key, ek_name) REFERENCES attestd.identity_holders (identity_key, ek_name))`,
    // ENR-08: one live AK for an EK.
    "CREATE UNIQUE INDEX enrolments_live ON attestd.enrolments (ek_name) WHERE state <> 'revoked'",
    'CREATE INDEX enrolments_ek ON attestd.enrolments (ek_name)',
    'CREATE INDEX enrolments_identity ON attestd.enrolments (identity_key)',
    'CREATE INDEX enrolments_held ON attestd.enrolments (held_key, ek_name)',
    `CREATE TABLE attestd.appraisals (
      ak_name text COLLATE "C" NOT NULL REFERENCES attestd.enrolments (ak_name),
      id bigint GENERATED ALWAYS AS IDENTITY,
      at bigint NOT NULL,
      affirmed boolean NOT NULL,
      failed text NOT NULL,
      changes text NOT NULL,
      ${currentOutcome},
      evidence_sha256 text,
      PRIMARY KEY (ak_name, id))`,
  ],
  // All names of one EK: they are what their senders say, its key is certified.
  ['CREATE INDEX enrolments_ek_key ON attestd.enrolments (ek_spki_sha256)'],
  // Policies (POL-709). The one row of the book is what all writers wait for, one after the other.
  [
    'CREATE TABLE attestd.policy_book (one boolean PRIMARY KEY DEFAULT true CHECK (one), revision bigint NOT NULL)',
    'INSERT INTO attestd.policy_book (revision) VALUES (0)',
    `CREATE TABLE attestd.policy_versions (
      slot text COLLATE "C" NOT NULL,
      number bigint NOT NULL CHECK (number > 0),
      at bigint NOT NULL,
      uploader text NOT NULL,
      form text NOT NULL CHECK (form IN ('text', 'unsigned', 'signed')),
      upload bytea NOT NULL,
      upload_sha256 text NOT NULL,
      policy_hash text NOT NULL,
      token_hash text CHECK ((token_hash IS NULL) = (form = 'text')),
      digest text NOT NULL,
      signer_sha256 text CHECK ((signer_sha256 IS NULL) = (form <> 'signed')),
      diagnostics text NOT NULL,
      previous_digest text,
      PRIMARY KEY (slot, number))`,
    `CREATE TABLE attestd.policy_active (
      slot text COLLATE "C" PRIMARY KEY,
      number bigint NOT NULL,
      FOREIGN KEY (slot, number) REFERENCES attestd.policy_versions (slot, number))`,
    `CREATE TABLE attestd.policy_activations (
      slot text COLLATE "C" NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      at bigint NOT NULL,
      by_whom text NOT NULL,
      action text NOT NULL CHECK (action IN ('set', 'reset', 'restored')),
      number bigint CHECK ((number IS NULL) = (action = 'reset')),
      previous bigint,
      PRIMARY KEY (slot, id),
      FOREIGN KEY (slot, number) REFERENCES attestd.policy_versions (slot, number),
      FOREIGN KEY (slot, previous) REFERENCES attestd.policy_versions (slot, number))`,
    `CREATE TABLE attestd.policy_signers (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      key_sha256 text NOT NULL,
      certificate bytea NOT NULL,
      added_at bigint NOT NULL,
      added_by text NOT NULL,
      removed_at bigint,
      removed_by text,
      CHECK ((removed_at IS NULL) = (removed_by IS NULL)))`,
    'CREATE UNIQUE INDEX policy_signers_trusted ON attestd.policy_signers (key_sha256) WHERE removed_at IS NULL',
  ],
]

/** Asked of the tables themselves: what names a session remembers may be from before it waited for the lock. */
const hasSchema = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'attestd') AS exists"
const hasVersions = `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'attestd' AND c.relname = 'schema_versions') AS exists`

/** Of this program. */
export const schemaVersion = migrations.length

/** Null where there is no schema of ours yet. */
async function versionIn(database: SqlQueries): Promise<number | null> {
  const [found] = await database.query(hasVersions)
  if (found?.['exists'] !== true) return null
  const [row] = await database.query('SELECT max(version)::text AS version FROM attestd.schema_versions')
  const version = row?.['version']
  if (typeof version === 'string' && /^[1-9]\d{0,8}$/.test(version)) return Number(version)
  throw storeErrors.error('registry_schema', 'the schema `attestd` does not say its version')
}

function requireKnown(version: number): void {
  if (version <= schemaVersion) return
  const facts = { schema: version, known: schemaVersion }
  const says = `the registry has schema ${version}; this program knows schema ${schemaVersion}`
  throw storeErrors.error('registry_schema', says, { facts })
}

/** CREATE SCHEMA IF NOT EXISTS asks for the right to create it even where an administrator has done so. */
async function makeSchema(database: SqlQueries): Promise<void> {
  const [found] = await database.query(hasSchema)
  if (found?.['exists'] !== true) await database.query('CREATE SCHEMA attestd')
  await database.query(
    'CREATE TABLE attestd.schema_versions (version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())',
  )
}

async function migrateWithin(database: SqlQueries): Promise<void> {
  await database.query('SELECT pg_advisory_xact_lock($1::bigint)::text', [migrationLock])
  const before = await versionIn(database)
  if (before === null) await makeSchema(database)
  else requireKnown(before)
  for (let version = (before ?? 0) + 1; version <= schemaVersion; version++) {
    for (const statement of migrations[version - 1] ?? []) await database.query(statement)
    await database.query('INSERT INTO attestd.schema_versions (version) VALUES ($1::integer)', [String(version)])
  }
}

/**
 * Brings the schema to the version of this program, all of it or nothing; of verifiers that start at the same time one
 * does it. Once it is there, no right to change it is needed. Throws `registry_schema` for a newer one.
 */
export async function migrate(engine: SqlEngine): Promise<void> {
  const version = await versionIn(engine)
  if (version !== null) requireKnown(version)
  if (version !== schemaVersion) await engine.transaction(migrateWithin)
}
