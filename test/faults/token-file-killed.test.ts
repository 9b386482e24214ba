import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ProjectedTokenFile } from '../../src/platform/projected-token-file.ts'
import { TokenFile } from '../../src/platform/token-file.ts'
import { builtProgram } from '../support/built-program.ts'
import { compileLibrary, haveCompiler } from '../support/c-compiler.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** In front of every call of the C library that changes files: the armed process kills itself before the n-th of them. */
const library = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static int armed, left;
static void step(void) { if (armed && --left == 0) kill(getpid(), SIGKILL); }
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
int access(const char *path, int mode) {
  if (strcmp(path, "/armed") == 0) { left = atoi(getenv("KILL_AT")); armed = 1; }
  return REAL(access)(path, mode);
}
int open(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
  if (flags & O_CREAT) step();
  return REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  va_list list; va_start(list, flags); int mode = va_arg(list, int); va_end(list);
  if (flags & O_CREAT) step();
  return REAL(open64)(path, flags, mode);
}
static void written(int fd) { struct stat found; if (fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) step(); }
ssize_t write(int fd, const void *from, size_t size) { written(fd); return REAL(write)(fd, from, size); }
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) { written(fd); return REAL(pwrite)(fd, from, size, at); }
int fchmod(int fd, mode_t mode) { step(); return REAL(fchmod)(fd, mode); }
int fsync(int fd) { step(); return REAL(fsync)(fd); }
int rename(const char *from, const char *to) { step(); return REAL(rename)(from, to); }
int unlink(const char *path) { step(); return REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { step(); return REAL(mkdir)(path, mode); }
int rmdir(const char *path) { step(); return REAL(rmdir)(path); }
int symlink(const char *target, const char *path) { step(); return REAL(symlink)(target, path); }
`

const root = mkdtempSync(join(tmpdir(), 'attestd-killed-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const old = 'a'.repeat(9_000)
const fresh = 'b'.repeat(9_000)
const classes = { plain: 'TokenFile', projected: 'ProjectedTokenFile' } as const
const modules = { plain: 'token-file', projected: 'projected-token-file' } as const
const settings = { mode: 0o440, allowConsumerWritable: false, allowDisk: true }

/** Writes the old token undisturbed, and dies before the `at`-th change that the new one takes. Gives whether it died. */
async function writeAndDie(
  layout: keyof typeof classes,
  directory: string,
  at: number,
  shim: string,
): Promise<boolean> {
  const program = await builtProgram()
  const module = join(program, '../../platform', `${modules[layout]}.js`)
  const script = `
    import { accessSync } from 'node:fs'
    import { randomBytes } from 'node:crypto'
    import { ${classes[layout]} } from ${JSON.stringify(module)}
    const options = ${JSON.stringify({ ...settings, path: join(directory, 'token'), roots: [directory] })}
    const clock = { now: Date.now, sleep: async () => {} }
    const file = await ${classes[layout]}.open({ ...options, random: (size) => new Uint8Array(randomBytes(size)), clock })
    await file.write(new TextEncoder().encode(${JSON.stringify(old)}))
    try { accessSync('/armed') } catch {}
    await file.write(new TextEncoder().encode(${JSON.stringify(fresh)}))
    process.exit(0)`
  const environment = { PATH: process.env['PATH'], LD_PRELOAD: shim, KILL_AT: String(at) }
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: environment, stdio: 'inherit' })
  const [code, signal] = await once(child, 'exit')
  expect(signal ?? code, `at ${at}`).toBe(signal === null ? 0 : 'SIGKILL')
  return signal === 'SIGKILL'
}

describe.skipIf(!haveCompiler)('a writer of token files that is killed (BRK-111, F20)', () => {
  it.each([
    ['plain', 5],
    ['projected', 9],
  ] as const)(
    'at any step leaves the whole old or the whole new token, and nothing that the next start does not remove: %s',
    async (layout, steps) => {
      const shim = compileLibrary(library)
      const seen: string[] = []
      let at = 1
      for (; ; at++) {
        const directory = mkdtempSync(join(root, `${layout}-`))
        const died = await writeAndDie(layout, directory, at, shim)
        const path = join(directory, 'token')
        const text = readFileSync(path, 'latin1')
        expect([old, fresh], `killed before change ${at}`).toContain(text)
        expect(statSync(path).mode & 0o7777).toBe(0o440)
        seen.push(text.slice(0, 1))
        const options = {
          ...settings,
          path,
          roots: [directory],
          random: seededRandom(at),
          clock: new FakeClock(),
        }
        await using file = await (layout === 'plain' ? TokenFile : ProjectedTokenFile).open(options)
        await file.removeLeftovers()
        expect(readdirSync(directory), `killed before change ${at}`).toHaveLength(layout === 'plain' ? 1 : 3)
        expect(readFileSync(path, 'latin1')).toBe(text)
        if (!died) break
      }
      // It was killed before and after the exchange, and every step was met.
      expect(at).toBeGreaterThan(steps)
      expect(seen.join('')).toMatch(/^a+b+$/)
    },
  )
})
