import { declareErrors } from '../base/errors.ts'

export const agentErrors = declareErrors({
  CONFIGURATION_UNREADABLE: {
    kind: 'configuration',
    title: 'the configuration file cannot be read',
    remedy:
      'name an existing file with --config; its owner is root or the user of the agent, and nobody else may write it',
  },
  CONFIGURATION_INVALID: {
    kind: 'configuration',
    title: 'the configuration says something that is not allowed',
    remedy: 'correct the named line; docs/configuration.md lists every key with its values',
  },
  ALREADY_RUNNING: {
    kind: 'configuration',
    title: 'another agent holds the state directory',
    remedy: 'stop the other agent, or give this one a state directory of its own',
  },
  UNSAFE_ENVIRONMENT: {
    kind: 'configuration',
    title: 'the environment would let somebody else into the process',
    remedy: 'start the agent without NODE_OPTIONS and without --inspect',
  },
  AGENT_NOT_REACHED: {
    kind: 'unavailable',
    title: 'no agent answers on the socket',
    remedy:
      'start the agent (systemctl start attestd), check --socket, and that this user is in the group of the socket',
  },
  AGENT_ANSWER: {
    kind: 'unavailable',
    title: 'what answers on the socket is not an attestd agent',
    remedy: 'check --socket: it must be the workload socket of attestd',
  },
  NOT_AFFIRMED: {
    kind: 'distrusted',
    title: 'the evidence was appraised and not affirmed',
    remedy: 'look at the failed findings: each says what was wrong and what mends it',
  },
  TOKEN_REFUSED: {
    kind: 'distrusted',
    title: 'the token was checked and refused',
    remedy: 'look at the failed findings: each says what was wrong and what mends it',
  },
  INPUT_UNREADABLE: {
    kind: 'configuration',
    title: 'an input file cannot be read',
    remedy: 'check the path and the permissions',
  },
  USAGE: {
    kind: 'configuration',
    title: 'the command line is not complete or contradicts itself',
    remedy: 'attestd help COMMAND shows the options',
  },
  UNKNOWN_INPUT: {
    kind: 'unsupported',
    title: 'the file is of no known kind',
    remedy: 'give evidence, an event log, an IMA log, a certificate, a token, or TPM structures; --kind names the kind',
  },
})
