import { declareErrors } from '../base/errors.ts'

/** What goes wrong on the way to an agent. What an agent itself answers keeps the code of its problem document. */
export const clientErrors = declareErrors({
  AGENT_NOT_REACHED: {
    kind: 'unavailable',
    title: 'no agent answers on the socket',
    remedy:
      'start the agent (systemctl start attestd), and check the path of the socket: --socket, ATTESTD_SOCKET or the option `socket` name another one',
  },
  SOCKET_FORBIDDEN: {
    kind: 'forbidden',
    title: 'this process may not open the socket of the agent',
    remedy:
      'put the user of the process into the group of the socket (SupplementaryGroups=attest-clients in its unit, --group-add in a container) and start it anew; the folder above the socket must be open to it too',
  },
  AGENT_ANSWER: {
    kind: 'unavailable',
    title: 'what answers on the socket is not an attestd agent',
    remedy: 'check the path of the socket (--socket, ATTESTD_SOCKET): it must be one of an attestd of this version',
  },
  AGENT_TOO_SLOW: {
    kind: 'unavailable',
    title: 'the agent did not answer within the time that the caller granted',
    remedy: 'look into the log of the agent, and grant more time: a first token needs a quote, which may take seconds',
  },
})
