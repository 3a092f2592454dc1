// Asked again, the tool sees what is there then.
const changed = { ok: false, error: {
  code: 'changed_since', message: 'That appointment has just been changed.', retryable: true,
} };
