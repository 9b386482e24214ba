import { declareErrors } from '../../base/errors.ts'

/** What keeps a token file from being there; shown in the status, in the log and as reasons for not being ready. */
export const sinkErrors = declareErrors({
  sink_token_too_large: {
    kind: 'unsupported',
    title: 'the token is longer than the consumer of the file takes',
    remedy: 'issue fewer claims for this audience, or correct consumer and max_characters of the sink',
  },
  sink_write_failed: {
    kind: 'unavailable',
    title: 'a token file cannot be written or removed',
    remedy: 'see the cause: free space, mount options and owner of the directory; it is tried again by itself',
  },
  sink_directory_replaced: {
    kind: 'unavailable',
    title: 'another directory is where the one of a token file was',
    remedy: 'if that is intended, reload: the directory that was opened first is not left for another one by itself',
  },
  sink_content_foreign: {
    kind: 'unavailable',
    title: 'something that is no token file lies where a token file belongs',
    remedy: 'remove it, or give the sink another path; the next token replaces a file, never a directory',
  },
})
