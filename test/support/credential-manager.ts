import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'

/** The one that every user may run: a version of root's own would not do. */
const python = '/usr/bin/python3'

export const canLoadCredentials = existsSync(python)

/**
 * What the service manager runs for `LoadCredential=`: binds its end to an abstract name, connects, closes its sending
 * side, and reads to the end (SYS-61). It prints what it got after one line: `ok`, or the error of connect.
 */
const loader = `
import socket, sys
name, path, more = bytes.fromhex(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
if name: own.bind(name)
sys.stdin.readline()
try:
    own.connect(path)
except OSError as error:
    print(error.strerror, flush=True)
    sys.exit(0)
got = b''
try:
    if more: own.sendall(more)
    own.shutdown(socket.SHUT_WR)
    while True:
        part = own.recv(65536)
        if not part: break
        got += part
except ConnectionResetError:
    pass
print('ok', flush=True)
sys.stdout.buffer.write(got)
`

export interface LoaderOptions {
  /** As another user, through setpriv. */
  readonly uid?: number
  /** What it says, although it should say nothing. */
  readonly sends?: string
  /** Called before it connects. */
  readonly prepare?: (pid: number) => void
}

/** The name that systemd gives its end of the connection. */
export function managerName(unit: string, id: string): Uint8Array {
  return Buffer.from(`\0${Math.floor(Math.random() * 2 ** 48).toString(16)}/unit/${unit}/${id}`, 'latin1')
}

/** A process of its own that loads a credential. Gives its bytes; what connect says in its place is an error. */
export async function loadCredential(path: string, name: Uint8Array, options: LoaderOptions = {}): Promise<string> {
  const { uid, sends = '', prepare = () => undefined } = options
  const hex = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('hex')
  const program = [python, '-c', loader, hex(name), path, hex(sends)]
  const as = uid === undefined ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups']
  const [command = '', ...args] = [...as, ...program]
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  prepare(child.pid ?? 0)
  child.stdin?.end('\n')
  await once(child, 'close')
  const text = Buffer.concat(chunks).toString('latin1')
  const [line = ''] = text.split('\n')
  if (line !== 'ok') throw new Error(`connect: ${line}`)
  return text.slice(3)
}
