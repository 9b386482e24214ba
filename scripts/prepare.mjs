// What `npm start` and `npm test` do first: see that the machine has what is needed, install what is missing.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '..')

const libraryFolders = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
]
const hasLibrary = (name) => libraryFolders.some((folder) => existsSync(join(folder, name)))
const hasCommand = (name) =>
  (process.env.PATH ?? '').split(':').some((folder) => folder && existsSync(join(folder, name)))

/** Debian keeps the programs of each version of the server in a folder of its own, outside of PATH. */
const postgresFolder = '/usr/lib/postgresql'
const hasPostgres = () =>
  existsSync(postgresFolder) &&
  readdirSync(postgresFolder).some((version) => existsSync(join(postgresFolder, version, 'bin', 'postgres')))

/** `packages`: Debian names, the first that the archive has is taken (names differ between Debian 12 and 13). */
const parts = {
  swtpm: { present: () => hasCommand('swtpm'), packages: ['swtpm'] },
  swtpmTools: { present: () => hasCommand('swtpm_setup') && hasCommand('swtpm_ioctl'), packages: ['swtpm-tools'] },
  tctildr: { present: () => hasLibrary('libtss2-tctildr.so.0'), packages: ['libtss2-tctildr0t64', 'libtss2-tctildr0'] },
  tctiSwtpm: {
    present: () => hasLibrary('libtss2-tcti-swtpm.so.0'),
    packages: ['libtss2-tcti-swtpm0t64', 'libtss2-tcti-swtpm0'],
  },
  tctiDevice: {
    present: () => hasLibrary('libtss2-tcti-device.so.0'),
    packages: ['libtss2-tcti-device0t64', 'libtss2-tcti-device0'],
  },
  marshalling: { present: () => hasLibrary('libtss2-mu.so.0'), packages: ['libtss2-mu-4.0.1-0t64', 'libtss2-mu0'] },
  tpm2Tools: { present: () => hasCommand('tpm2_checkquote'), packages: ['tpm2-tools'] },
  curl: { present: () => hasCommand('curl'), packages: ['curl'] },
  evmctl: { present: () => hasCommand('evmctl'), packages: ['ima-evm-utils'] },
  openssl: { present: () => hasCommand('openssl'), packages: ['openssl'] },
  postgres: { present: hasPostgres, packages: ['postgresql'] },
  rpm: { present: () => hasCommand('rpmbuild'), packages: ['rpm'] },
  python: { present: () => hasCommand('python3'), packages: ['python3'] },
  unshare: { present: () => hasCommand('setpriv'), packages: ['util-linux'] },
}

const forStart = ['swtpm', 'swtpmTools', 'tctildr', 'tctiSwtpm', 'tctiDevice']
const forTests = [
  ...forStart,
  'marshalling',
  'tpm2Tools',
  'curl',
  'evmctl',
  'openssl',
  'postgres',
  'rpm',
  'python',
  'unshare',
]

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status ?? 1
}

const quiet = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

function installer() {
  if (!hasCommand('apt-get')) return undefined
  if (process.getuid?.() === 0) return []
  return hasCommand('sudo') && quiet('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
}

function fail(message) {
  console.error(message)
  process.exit(69)
}

function installPackages(missing) {
  const prefix = installer()
  const names = missing.map((part) => parts[part].packages.at(-1)).join(' ')
  if (!prefix) fail(`Missing on this machine: ${missing.join(', ')}. Install the Debian packages: ${names}`)
  console.log(`Installing what is missing: ${missing.join(', ')}`)
  const apt = (...args) => {
    const command = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
    return run(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  if (apt('update', '-qq') !== 0) console.error('apt-get update failed; trying with the package lists that are here')
  const known = missing.map(
    (part) => parts[part].packages.find((name) => quiet('apt-cache', ['show', name])) ?? parts[part].packages[0],
  )
  if (apt('install', '-y', '-qq', '--no-install-recommends', ...known) !== 0) {
    fail(`apt-get could not install: ${known.join(' ')}. Install them by hand and try again.`)
  }
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) fail(`attestd needs Node 20.19 or newer, this is ${process.version}`)
}

const lockDigest = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
const stamp = join(root, 'node_modules/.attestd-lock')

function installDependencies() {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lockDigest()) return
  if (run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error']) !== 0) fail('npm ci failed: see above')
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, lockDigest())
}

export function build() {
  const tsc = join(root, 'node_modules/.bin/tsc')
  if (run(tsc, ['-p', 'tsconfig.build.json']) !== 0) fail('the build failed: see above')
}

/** Makes the machine ready for `purpose`: 'start' or 'test'. Exits with 69 and the names of packages if it cannot. */
export function prepare(purpose) {
  requireNode()
  const missing = (purpose === 'test' ? forTests : forStart).filter((part) => !parts[part].present())
  if (missing.length > 0) installPackages(missing)
  installDependencies()
  build()
}
