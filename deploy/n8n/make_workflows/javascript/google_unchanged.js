// It is gone already, or Google lets nobody delete it: its node says no more than that it failed.
const message = 'The calendar does not let me change that appointment.';
return { answer: { ok: false, error: { code: 'not_changed', message, retryable: false } } };
