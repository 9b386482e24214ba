import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { runCommand } from './run-command.ts'

/** What an answer of the agent was: its status and the code of its problem, or the audience of its token. */
export interface Told {
  readonly status: number
  readonly says: string | null
}

/**
 * Words for a program that does to its own process and its connections what Node cannot: other ids in one thread of
 * control, forks that share a connection, descriptors in a message. `as_user` keeps root as the saved id. A request
 * whose connection is closed without an answer counts as status 0. Children are in a session of their own, so that the
 * number of their parent becomes free when it ends.
 */
const words = `
import array, base64, ctypes, json, os, signal, socket, sys, time
path = sys.argv[1]

def say(value):
    sys.stdout.write(json.dumps(value) + '\\n')
    sys.stdout.flush()

def wait_word():
    return sys.stdin.readline().strip()

def as_user(uid, *groups):
    os.seteuid(0)
    os.setgroups(groups or [GROUP])
    os.setresgid(uid, uid, uid)
    os.setresuid(-1, uid, 0)

def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(path)
    return connection

def send(connection, audience):
    try:
        connection.sendall(b'GET /v1/token?audience=' + audience.encode() + b' HTTP/1.1\\r\\n\\r\\n')
    except OSError:
        pass

def receive(connection):
    data = b''
    try:
        while b'\\r\\n\\r\\n' not in data:
            more = connection.recv(65536)
            if not more:
                return {'status': 0, 'says': None}
            data += more
        head, body = data.split(b'\\r\\n\\r\\n', 1)
        fields = dict(line.lower().split(b': ', 1) for line in head.split(b'\\r\\n')[1:])
        while len(body) < int(fields[b'content-length']):
            body += connection.recv(65536)
    except OSError:
        return {'status': 0, 'says': None}
    if body[:1] == b'{':
        return {'status': int(head.split()[1]), 'says': json.loads(body)['code']}
    part = body.split(b'.')[1]
    claims = json.loads(base64.urlsafe_b64decode(part + b'=' * (-len(part) % 4)))
    return {'status': int(head.split()[1]), 'says': claims['aud']}

def ask(connection, audience):
    send(connection, audience)
    return receive(connection)

def pass_on(channel, connection):
    rights = array.array('i', [connection.fileno()])
    channel.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

def take_over(channel):
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_LEN(4))
    connection = socket.socket(fileno=array.array('i', ancillary[0][2])[0])
    connection.settimeout(20)
    return connection

def in_child(work):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.alarm(60)
        try:
            work()
        finally:
            os._exit(0)
    return pid

def until_orphan(parent):
    while os.getppid() == parent:
        time.sleep(0.002)

def set_name(name):
    ctypes.CDLL(None).prctl(15, ctypes.c_char_p(name), 0, 0, 0)

signal.alarm(60)
`

export interface ScriptedCaller {
  readonly pid: number
  /** The next value that the script says. */
  said<T = Told>(): Promise<T>
  /** Once it was waited for: its number is free, unless a child is in its group. */
  readonly exited: Promise<unknown>
  /** Lets a script go on that waits for a word. */
  tell(word?: string): void
}

/** Starts a script of the words above, as root; `group` is what opens the socket `path`. It ends with the test at last. */
export function startScript(path: string, group: number, script: string): ScriptedCaller {
  const program = `${words.replace('GROUP', String(group))}\n${script}`
  const child: ChildProcess = spawn('python3', ['-c', program, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const { stdin, stdout, pid } = child
  if (!stdin || !stdout || pid === undefined) throw new Error('python3 did not start')
  const exited = once(child, 'exit')
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  onTestFinished(async () => {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
    await exited
  })
  return {
    pid,
    exited,
    async said() {
      const { value, done } = await lines.next()
      if (done) throw new Error('the script ended')
      return JSON.parse(value)
    },
    tell: (word = '') => void stdin.write(`${word}\n`),
  }
}

/** Whether there is an interpreter for scripts. */
export const haveScripts = await runCommand('python3', ['-c', 'import array, socket']).then(
  ({ code }) => code === 0,
  () => false,
)
