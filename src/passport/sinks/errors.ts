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
    title: 'the directory of a token file is not at its path any more',
    remedy:
      'move it back, or make one there that fits: same real path, owner and mode as token files need; it is taken by itself',
  },
  sink_content_foreign: {
    kind: 'unavailable',
    title: 'something that is no token file lies where a token file belongs',
    remedy: 'remove it, or give the sink another path; the next token replaces a file, never a directory',
  },
})
