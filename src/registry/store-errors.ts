import { declareErrors } from '../base/errors.ts'

/** Where a registry that is kept in a database fails, whichever engine that is. */
export const storeErrors = declareErrors({
  registry_unavailable: {
    kind: 'unavailable',
    title: 'the database of the registry does not answer',
    remedy: 'check that the database runs, takes writes and can be reached; the verifier connects again by itself',
  },
  registry_storage_full: {
    kind: 'unavailable',
    title: 'the registry has no room to write',
    remedy: 'free or add space where the registry is kept; what was acknowledged before is not lost',
  },
  registry_access: {
    kind: 'configuration',
    title: 'the database of the registry does not let the verifier in',
    remedy: 'check user, password, database and rights; the role must own the schema `attestd`, or may create it',
  },
  registry_address: {
    kind: 'configuration',
    title: 'the URL of the registry cannot be used',
    remedy:
      'write postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, percent-encoding what is not plain',
  },
  registry_in_use: {
    kind: 'unavailable',
    title: 'another process has the directory of the registry open',
    remedy: 'stop the other process, give each its own directory, or let both use one PostgreSQL',
  },
  registry_unguarded: {
    kind: 'unsupported',
    title: 'nothing can keep two processes from one embedded registry',
    remedy: 'install the native code of attestd (koffi), or keep the registry in PostgreSQL',
  },
  registry_corrupt: {
    kind: 'unavailable',
    title: 'what the registry holds is damaged',
    remedy:
      'restore it from a backup; only if there is none, move it away and enrol every machine again: counters are then forgotten',
    retryable: false,
  },
  registry_schema: {
    kind: 'unsupported',
    title: 'the registry was written by a newer version, or is not a registry',
    remedy: 'install the newer version again, or point this one at another registry',
  },
  registry_not_durable: {
    kind: 'configuration',
    title: 'the database of the registry does not wait for its disk',
    remedy: 'set fsync = on and full_page_writes = on in the configuration of PostgreSQL',
  },
  registry_statement: {
    kind: 'unavailable',
    title: 'the database refused a statement of the registry',
    remedy: 'look up the SQLSTATE in the manual of PostgreSQL, and the details in the log of the server',
    retryable: false,
  },
})
