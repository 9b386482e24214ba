import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite, type PGliteOptions } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'
import type { SqlRow, SqlValue } from './sql-engine.ts'

/** `create` makes a new database in an empty directory and ends; `open` serves what is there. */
export interface PgliteTask {
  readonly act: 'create' | 'open'
  readonly directory: string
}

export interface PgliteJob {
  readonly id: number
  readonly sql: string
  readonly parameters: readonly SqlValue[]
}

/** `ended`: this database does nothing more, and why, in the words of PostgreSQL; what was not answered is open. */
export type PgliteReport =
  | { readonly is: 'ready' }
  | { readonly is: 'done'; readonly id: number; readonly rows: readonly SqlRow[] }
  | { readonly is: 'refused'; readonly id: number; readonly state: string; readonly constraint: string | null }
  | { readonly is: 'ended'; readonly says: string }

/**
 * PGlite switches fsync off, and its file system has none. Here both are there: a commit is on the disk when it
 * returns (ENR-12). A store of enrolments is small, so are its buffers. No `-O`: catalogues are not to be changed.
 */
const settings = [
  ...['fsync=on', 'wal_sync_method=fsync', 'full_page_writes=on', 'synchronous_commit=on', 'data_sync_retry=off'],
  ...['shared_buffers=4MB', 'wal_buffers=256kB', 'max_wal_size=16MB', 'temp_buffers=1MB', 'work_mem=2MB'],
  ...['max_worker_processes=0', 'max_parallel_workers=0', 'max_parallel_workers_per_gather=0', 'io_method=sync'],
  ...['max_parallel_maintenance_workers=0', 'exit_on_error=false', 'log_checkpoints=false', 'search_path=public'],
]
const startParams = ['--single', '-j', ...settings.flatMap((setting) => ['-c', setting])]
const bytea = 17

/** What the file system of Emscripten has of an open file: a descriptor of ours, but none for a directory. */
interface OpenFile {
  readonly nfd?: number
  readonly node: unknown
}

interface NodeFiles {
  readonly stream_ops: { fsync?: (file: OpenFile) => number }
  realPath(node: unknown): string
  tryFSOperation<T>(act: () => T): T
}

function forcePath(path: string): void {
  const opened = openSync(path, 'r')
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}

function forceTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) forceTree(join(path, entry.name))
    else if (entry.isFile()) forcePath(join(path, entry.name))
  }
  forcePath(path)
}

/** The file system of PGlite on files of the host, with the fsync that it lacks; failures reach PostgreSQL as errno. */
class ForcedFiles extends NodeFS {
  #onAbort: (says: string) => void

  constructor(directory: string, onAbort: (says: string) => void) {
    super(directory)
    this.#onAbort = onAbort
  }

  override async init(...[database, options]: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const made = await super.init(database, options)
    const preRun = made.emscriptenOpts.preRun ?? []
    const force = (module: unknown) => {
      const files = (module as { NODEFS: NodeFiles }).NODEFS
      files.stream_ops.fsync = (file) => {
        files.tryFSOperation(() =>
          file.nfd === undefined ? forcePath(files.realPath(file.node)) : fsyncSync(file.nfd),
        )
        return 0
      }
    }
    const preRuns = [...(Array.isArray(preRun) ? preRun : [preRun]), force]
    return {
      emscriptenOpts: {
        ...made.emscriptenOpts,
        preRun: preRuns,
        onAbort: (what: unknown) => this.#onAbort(String(what)),
      },
    }
  }
}

function report(what: PgliteReport): void {
  parentPort?.postMessage(what)
}

/** The last that PostgreSQL wrote to its log: why it ended. */
class LastWords {
  #lines: string[] = []

  hear(line: string): void {
    this.#lines = [...this.#lines, line.trim()].slice(-20)
  }

  get text(): string {
    const telling = this.#lines.filter((line) => /\b(?:FATAL|PANIC|could not|No space)\b/.test(line))
    return telling.slice(-3).join('; ').slice(0, 400)
  }
}

const words = new LastWords()

/** Ends this thread at once: after a panic no answer of the database means anything. */
function end(says: string): never {
  report({ is: 'ended', says: words.text || says })
  process.exit()
}

function optionsFor(directory: string): PGliteOptions {
  return {
    fs: new ForcedFiles(directory, end),
    startParams,
    // Segments of 1 MiB: a new store takes half the room.
    initDbStartParams: ['--wal-segsize=1'],
    relaxedDurability: false,
    onStderr: (line) => {
      words.hear(line)
      return false
    },
    parsers: { [bytea]: (text: string) => Buffer.from(text.slice(2), 'hex') },
    serializers: { [bytea]: (bytes: Uint8Array) => `\\x${Buffer.from(bytes).toString('hex')}` },
  }
}

async function run(database: PGlite, { id, sql, parameters }: PgliteJob): Promise<void> {
  try {
    const found: { rows: SqlRow[]; command?: string } = await database.query(sql, [...parameters])
    // PGlite swallows what the machine below throws: only a completed command was carried out.
    if (found.command === undefined) end('the database did not complete a command')
    // What aborted a transaction was not to be swallowed before its end: COMMIT then rolls back, and says so only here.
    if (sql === 'COMMIT' && found.command !== sql) report({ is: 'refused', id, state: '25P02', constraint: null })
    else report({ is: 'done', id, rows: found.rows })
  } catch (error) {
    const { code, constraint, severity } = error as { code?: string; constraint?: string; severity?: string }
    if (severity !== 'ERROR' || code === undefined) end(`the database ended: ${code ?? String(error)}`)
    report({ is: 'refused', id, state: code, constraint: constraint ?? null })
  }
}

async function create(directory: string): Promise<void> {
  const database = await PGlite.create(optionsFor(directory))
  await database.close()
  forceTree(directory)
}

/** PGlite makes a new database wherever it finds none; here that would forget every enrolment. */
function requireDatabase(directory: string): void {
  const version = join(directory, 'PG_VERSION')
  if (!existsSync(version) || !/^\d+\n$/.test(readFileSync(version, 'latin1'))) end('there is no database (PG_VERSION)')
}

async function serve(directory: string): Promise<void> {
  requireDatabase(directory)
  const database = await PGlite.create(optionsFor(directory))
  let last = Promise.resolve()
  parentPort?.on('message', (job: PgliteJob | 'close') => {
    last = last.then(() => (job === 'close' ? database.close().then(() => end('closed')) : run(database, job)))
  })
}

const task = workerData as PgliteTask
try {
  await (task.act === 'create' ? create(task.directory) : serve(task.directory))
} catch (error) {
  end(String(error))
}
report({ is: 'ready' })
