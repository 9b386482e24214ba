import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import { workerData } from 'node:worker_threads'

/**
 * Beside the directory of an embedded database, what a loss of power would leave of it: of each file what it was when it
 * was last forced to the disk, which brings the name of a new one along, as the file systems of Linux do and PostgreSQL
 * expects; of each directory the names that it had when it was last forced. Then the real thread.
 */
const { directory, shadow, entry } = workerData
const contents = new Map()

const inodeOf = (path) => fs.statSync(path).ino
const mirrorOf = (path) => join(shadow, path.slice(directory.length))

function rememberAll(path) {
  for (const { name, parentPath } of fs.readdirSync(path, { recursive: true, withFileTypes: true })) {
    const file = join(parentPath, name)
    if (fs.statSync(file).isFile()) contents.set(inodeOf(file), fs.readFileSync(file))
  }
}

function forceFile(path) {
  contents.set(inodeOf(path), fs.readFileSync(path))
  fs.mkdirSync(dirname(mirrorOf(path)), { recursive: true })
  fs.writeFileSync(mirrorOf(path), contents.get(inodeOf(path)))
}

function forceNames(path) {
  const names = fs.readdirSync(path)
  for (const lost of fs.readdirSync(mirrorOf(path)).filter((name) => !names.includes(name))) {
    fs.rmSync(join(mirrorOf(path), lost), { recursive: true })
  }
  for (const name of names) {
    const file = join(path, name)
    if (fs.statSync(file).isDirectory()) fs.mkdirSync(mirrorOf(file), { recursive: true })
    else fs.writeFileSync(mirrorOf(file), contents.get(inodeOf(file)) ?? '')
  }
}

const force = fs.fsyncSync
fs.fsyncSync = (descriptor) => {
  force(descriptor)
  const path = fs.readlinkSync(`/proc/self/fd/${descriptor}`)
  if (!path.startsWith(directory) || path.endsWith(' (deleted)')) return
  if (fs.statSync(path).isDirectory()) forceNames(path)
  else forceFile(path)
}
syncBuiltinESMExports()

fs.cpSync(directory, shadow, { recursive: true })
rememberAll(directory)
await import(entry)
