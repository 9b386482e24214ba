import { z } from 'zod'
import { regionForm } from '../../endorser/tdx/pccs-base.ts'
import { acceptableTcbStatuses } from '../../verifier/tdx/inputs.ts'
import { duration, path, timeLimit, use } from './value-forms.ts'

const reference = (size: number, meaning: string) =>
  z
    .array(z.string().regex(new RegExp(`^[0-9a-f]{${2 * size}}$`), `must be ${2 * size} lower-case hexadecimal digits`))
    .exactOptional()
    .describe(meaning)

/** The TD of this guest: where its quotes and logs come from. */
export const tdx = z
  .strictObject({
    use: use.describe('`required`: no token without a TD quote; `auto`: where this guest is a TD at the start'),
    report: path.default('/sys/kernel/config/tsm/report').describe('report folder of configfs-tsm'),
    timeout: timeLimit('35s').describe('limit of one quote, waiting for its turn included'),
    ccel_table: path.default('/sys/firmware/acpi/tables/CCEL').describe('ACPI table of the boot log'),
    ccel_log: path.default('/sys/firmware/acpi/tables/data/CCEL').describe('boot log of the firmware'),
    runtime_log: path
      .default('/run/attestation-agent/eventlog')
      .describe('log of what was extended while the system ran'),
    simulator: z
      .boolean()
      .default(false)
      .describe('allows a simulated TD; every token then says `attestd.simulated: true`'),
    simulator_socket: path.optional().describe('socket of a simulated TD, in place of the kernel'),
  })
  .prefault({})

/** Where the collateral of TD quotes comes from. */
export const collateral = z
  .strictObject({
    pccs: z
      .array(z.string().min(1))
      .default([])
      .describe('servers of TDX collateral in the order in which they are asked; default: that of Intel'),
    region: z
      .string()
      .regex(regionForm, 'must be the name of a region, such as cn-beijing or ap-southeast-1')
      .optional()
      .describe('Alibaba Cloud region whose mirror is asked first'),
    vpc: z.boolean().default(false).describe('asks the mirror of the region by its address inside of the VPC'),
    qcnl: path.default('/etc/sgx_default_qcnl.conf').describe('where servers are read from if none is named here'),
    files: z
      .array(path)
      .default([])
      .describe('bundles of `attestd collateral fetch`, folders of them, or platform_collaterals.json: asked first'),
    update: z.enum(['standard', 'early']).default('standard').describe('which schedule of TCB recoveries counts'),
    allow_http_loopback: z.boolean().default(false).describe('allows servers by http on loopback'),
  })
  .prefault({})

/** What the verifier asks of a TD; part of the section `verifier`. */
export const tdxVerifierKeys = {
  tcb_statuses: z
    .array(z.enum(acceptableTcbStatuses))
    .min(1)
    .default(['UpToDate', 'SWHardeningNeeded'])
    .describe('TCB statuses of a TD that are accepted'),
  tcb_minimum_evaluation: z
    .int()
    .min(0)
    .default(0)
    .describe('least TCB evaluation number of the collateral that is accepted'),
  collateral_grace: duration('0s').describe('how long expired collateral is still used; the token then says so'),
  debug: z.boolean().default(false).describe('accepts TDs in debug mode, whose memory the host can read'),
  cc_event_log: z
    .enum(['required', 'if-present', 'optional'])
    .default('if-present')
    .describe('`required` refuses a TD without an event log that replays, `if-present` one whose event log does not'),
  tdx_anchors: z
    .array(path)
    .default([])
    .describe('PEM files of roots of simulated TDs; they need tdx.simulator, and mark every token'),
  td: z
    .strictObject({
      mr_td: reference(48, 'MRTD: the memory with which the TD was started'),
      mr_seam: reference(48, 'MRSEAM: the TDX module'),
      mr_signer_seam: reference(48, 'MRSIGNERSEAM: who signed the TDX module'),
      mr_config_id: reference(48, 'MRCONFIGID: configuration that the host gave'),
      mr_owner: reference(48, 'MROWNER'),
      mr_owner_config: reference(48, 'MROWNERCONFIG'),
      rtmr_0: reference(48, 'RTMR0: firmware and its configuration'),
      rtmr_1: reference(48, 'RTMR1: boot loader and kernel'),
      rtmr_2: reference(48, 'RTMR2: command line and initial file system'),
      rtmr_3: reference(48, 'RTMR3: what the running system measured'),
      td_attributes: reference(8, 'TDATTRIBUTES, in the byte order of the quote'),
      xfam: reference(8, 'XFAM, in the byte order of the quote'),
      mr_servicetd: reference(48, 'MRSERVICETD: service TDs bound to it'),
    })
    .prefault({})
    .describe('accepted measurements of a TD, by field; a field that is not named is not compared'),
}
