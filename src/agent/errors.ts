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
    remedy:
      'correct the named line; docs/configuration.md lists every key with its values, docs/verifier-configuration.md those of the verifier service',
  },
  STATE_DIRECTORY: {
    kind: 'configuration',
    title: 'the state directory cannot keep secrets',
    remedy: 'give the agent a directory that belongs to its own user and that nobody else can enter (mode 0700)',
  },
  SOCKET_UNSERVED: {
    kind: 'configuration',
    title: 'the service manager passed a socket that nothing is configured for',
    remedy: 'add the table of that surface to the configuration, or disable its socket unit (systemctl disable --now)',
  },
  UNSAFE_ENVIRONMENT: {
    kind: 'configuration',
    title: 'the environment would let somebody else into the process',
    remedy: 'start the agent without NODE_OPTIONS and without --inspect',
  },
  TEST_MODE_IN_SERVICE: {
    kind: 'configuration',
    title: 'an agent in test mode protects nothing, and a service manager must not run one',
    remedy: 'start it by hand for tests, and take --test-mode out of the unit',
  },
  TEST_MODE_REAL_DEVICE: {
    kind: 'configuration',
    title: 'test mode is for simulated devices only',
    remedy: 'name the simulator in [tdx] or [tpm], or leave --test-mode out',
  },
  RUNNING_AS_ROOT: {
    kind: 'configuration',
    title: 'attestd parses what others send, and must not do so as root',
    remedy:
      'run it as a user of its own (that of an agent in the group that may use the TPM); --allow-root where there is no other way',
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
  OUTPUT_UNWRITABLE: {
    kind: 'unavailable',
    title: 'what a command prints could not be written',
    remedy: 'check the free space and the permissions where standard output goes; what is there now is not whole',
  },
  USAGE: {
    kind: 'configuration',
    title: 'the command line is not complete or contradicts itself',
    remedy: 'the same command with --help shows its options',
  },
  EVIDENCE_UNSUPPORTED: {
    kind: 'unsupported',
    title: 'the document holds evidence of a kind that is not appraised here',
    remedy: 'give evidence of a TD or a TPM: a document with "tee":"tdx" or "tee":"tpm", a bare container, or a quote',
  },
  EVIDENCE_TOO_LARGE: {
    kind: 'unsupported',
    title: 'the evidence is larger than a verifier takes',
    remedy: 'leave a log out (--no-ima, --no-event-log); an IMA log of this size needs a narrower IMA policy',
  },
  REGISTER_UNSUPPORTED: {
    kind: 'unsupported',
    title: 'this register cannot be extended here',
    remedy: 'name a register of `measure.registers` that this guest has: RTMRs of a TD, PCRs of a TPM',
  },
  JOURNAL_ABSENT: {
    kind: 'unavailable',
    title: 'there is no journal',
    remedy: 'check --config, set journal.enabled = true, and run this as root or as the user of the agent',
  },
  JOURNAL_BROKEN: {
    kind: 'distrusted',
    title: 'the journal is not as it was written',
    remedy: 'keep the files as they are and find out who wrote to them; what stands before the named record holds',
  },
  AGENT_HOLDS_STATE: {
    kind: 'unavailable',
    title: 'the running agent holds what this command needs for itself',
    remedy: 'stop the agent (systemctl stop attestd) and try again',
  },
  AGENT_NOT_READY: {
    kind: 'unavailable',
    title: 'the agent runs, and is not ready to serve tokens',
    remedy:
      'look at the failed findings and the last errors that `attestd status` shows; `attestd doctor` looks at the machine',
  },
  VERIFIER_NOT_REACHED: {
    kind: 'unavailable',
    title: 'no verifier answers on the administration socket',
    remedy: 'start the verifier (systemctl start attestd-verifier), and check the path of its socket (--socket)',
  },
  VERIFIER_SOCKET_FORBIDDEN: {
    kind: 'forbidden',
    title: 'this user may not open the administration socket of the verifier',
    remedy: 'run the command as root or as the user of the verifier: nobody else administers it',
  },
  VERIFIER_ANSWER: {
    kind: 'unavailable',
    title: 'what answers on the socket is not the administration of a verifier',
    remedy: 'check the path of the socket (--socket): it must be one of an attestd verifier of this version',
  },
  VERIFIER_TOO_SLOW: {
    kind: 'unavailable',
    title: 'the verifier did not answer in time',
    remedy: 'look into the log of the verifier; a change may have been made: look before you repeat it',
  },
  POLICY_NOT_SET: {
    kind: 'forbidden',
    title: 'the verifier has no active policy of this name that somebody set',
    remedy: '`attestd verifier policies list` shows which policies are set, `history` the versions of one',
  },
  ENROLMENT_ABSENT: {
    kind: 'forbidden',
    title: 'there is no such enrolment',
    remedy: '`attestd registry list` names all attestation keys, `attestd registry show` the endorsement key of one',
  },
  HOST_CANNOT_ATTEST: {
    kind: 'unsupported',
    title: 'this machine cannot attest as it is',
    remedy: 'mend the items that `attestd doctor` marks as problems: each says how',
  },
  TOOL_MISSING: {
    kind: 'unsupported',
    title: 'a program that reads packages is not installed',
    remedy: 'install the package that has it (dpkg-deb is in dpkg), or learn from a tree in which the packages are',
  },
  TOOL_FAILED: {
    kind: 'malformed',
    title: 'a program that reads packages refused one',
    remedy: 'check that the file is whole and a package of that kind',
  },
  REFERENCES_DIFFER: {
    kind: 'distrusted',
    title: 'two documents of reference values say different things',
    remedy: 'look at the lines with - (only in the first) and + (only in the second)',
  },
  REFERENCES_DOUBTFUL: {
    kind: 'distrusted',
    title: 'a document of reference values has parts that are weak or have no effect',
    remedy: 'mend what is named, or leave --strict out',
  },
  POLICY_INVALID: {
    kind: 'distrusted',
    title: 'a policy has errors, or doubtful parts where --strict allows none',
    remedy:
      'mend what is named above, each at its place; docs/policy.md explains the language by examples, docs/policy-language.md each rule',
  },
  POLICY_DENIED: {
    kind: 'distrusted',
    title: 'a policy does not permit this evidence',
    remedy: 'attestd policy explain, with the same options, says which rule decided and what came close',
  },
  POLICY_TESTS_FAILED: {
    kind: 'distrusted',
    title: 'policies do not do what their tests expect',
    remedy:
      'compare what was expected with what was found; attestd policy explain shows why a policy answers as it does',
  },
  POLICY_COMPILED: {
    kind: 'configuration',
    title: 'this command works on the text of a policy, and a Rego bundle has none',
    remedy:
      'attestd policy check, test, run, explain, hash and inspect take bundles, and configurations of agent and verifier (policies.files); lay out and review the Rego source with opa',
  },
  POLICY_UNFORMATTED: {
    kind: 'distrusted',
    title: 'a policy is not in the one layout',
    remedy: 'attestd policy fmt --write FILE lays it out; its hash changes with it, so sign and upload it again',
  },
  POLICY_REFUSED: {
    kind: 'distrusted',
    title: 'an uploaded policy is not one that a strict verifier takes',
    remedy: 'look at the problems that are named: each says what mends it',
  },
  POLICIES_DIFFER: {
    kind: 'distrusted',
    title: 'two policies say different things',
    remedy: 'look at the rules with - (only in the first) and + (only in the second)',
  },
  UNKNOWN_INPUT: {
    kind: 'unsupported',
    title: 'the file is of no known kind',
    remedy: 'give evidence, an event log, an IMA log, a certificate, a token, or TPM structures; --kind names the kind',
  },
})
