// It is gone already, or the server lets nobody delete it.
const isGone = [404, 410].includes($('End old').first().json.statusCode);
const message = 'The calendar does not let me change that appointment.';
const kept = { ok: false, error: { code: 'not_changed', message, retryable: false } };
return { answer: isGone ? changed : kept };
