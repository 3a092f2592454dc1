// As much of Luxon as the workflows use, over Intl: n8n brings the real one, these tests don't.
// scripts/test-n8n holds it against that.
const FORMS = new Map();
const OFFSETS = new Map();
const QUARTER_MS = 900_000;

/** How far a zone's clocks are ahead of UTC; nowhere do they change within a quarter of an hour. */
function offset(ms, zone) {
	const known = `${zone} ${Math.floor(ms / QUARTER_MS)}`;
	if (!OFFSETS.has(known)) OFFSETS.set(known, lookedUp(ms, zone));
	return OFFSETS.get(known);
}

function lookedUp(ms, zone) {
	if (!FORMS.has(zone)) {
		const wanted = { timeZone: zone, hourCycle: 'h23' };
		for (const name of ['year', 'month', 'day', 'hour', 'minute', 'second']) wanted[name] = 'numeric';
		FORMS.set(zone, new Intl.DateTimeFormat('en-GB', wanted));
	}
	const told = FORMS.get(zone).formatToParts(ms).map(({ type, value }) => [type, Number(value)]);
	const p = Object.fromEntries(told);
	const there = Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second);
	return there - Math.floor(ms / 1000) * 1000;
}

function parts(ms, zone) {
	const wall = new Date(ms + offset(ms, zone));
	return {
		year: wall.getUTCFullYear(), month: wall.getUTCMonth() + 1, day: wall.getUTCDate(),
		hour: wall.getUTCHours(), minute: wall.getUTCMinutes(), second: wall.getUTCSeconds(),
		weekday: wall.getUTCDay() || 7,
	};
}

/** The moment of a wall clock's time: the one with this offset first, where it comes twice; one that
 * is left out in spring is an hour later. */
function moment(wall, zone, likely) {
	const first = offset(wall - likely, zone);
	if (first === likely) return wall - likely;
	const second = offset(wall - first, zone);
	return wall - Math.min(first, second);
}

function isZone(zone) {
	try {
		offset(0, zone);
		return true;
	} catch {
		return false;
	}
}

const ISO = /^(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d)(?::?(\d\d)(?:\.(\d{3}))?)?(Z|[+-]\d\d:\d\d)?)?$/;
const two = (number, width = 2) => String(number).padStart(width, '0');
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September',
	'October', 'November', 'December'];

export class DateTime {
	constructor(ms, zone) {
		Object.assign(this, { ms, zone });
		this.isValid = !Number.isNaN(ms);
		Object.assign(this, this.isValid ? parts(ms, zone) : { weekday: NaN });
	}

	static fromMillis(ms, { zone }) {
		return new DateTime(isZone(zone) ? ms : NaN, zone);
	}

	static fromISO(text, { zone = 'UTC' } = {}) {
		const [, y, mo, d, h = 0, mi = 0, s = 0, f = 0, at] = ISO.exec(text) ?? [];
		const wall = Date.UTC(y, mo - 1, d, h, mi, s, f);
		const there = new Date(wall);
		const isReal = y && there.getUTCDate() === +d && there.getUTCMinutes() === +mi && +h < 24;
		if (!isReal || !isZone(zone)) return new DateTime(NaN, zone);
		if (!at) return new DateTime(moment(wall, zone, offset(Date.now(), zone)), zone);
		const sign = at[0] === '-' ? -1 : 1;
		const away = at === 'Z' ? 0 : sign * (Number(at.slice(1, 3)) * 60 + Number(at.slice(4)));
		return new DateTime(wall - away * 60000, zone);
	}

	set(wanted) {
		if (!this.isValid) return this;
		const p = { ...this, ...wanted };
		const wall = Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second);
		return new DateTime(moment(wall, this.zone, offset(this.ms, this.zone)), this.zone);
	}

	startOf() {
		return this.set({ hour: 0, minute: 0, second: 0 });
	}

	plus({ days = 0, minutes = 0 }) {
		const moved = days ? this.set({ day: this.day + days }) : this;
		return new DateTime(+moved + minutes * 60000, this.zone);
	}

	setZone(zone) {
		return new DateTime(isZone(zone) ? this.ms : NaN, zone);
	}

	toUTC() {
		return this.setZone('UTC');
	}

	setLocale() {
		return this;
	}

	toMillis() {
		return this.ms;
	}

	valueOf() {
		return this.ms;
	}

	toISODate() {
		return this.isValid ? this.toFormat('yyyy-MM-dd') : null;
	}

	toISO() {
		if (!this.isValid) return null;
		const away = offset(this.ms, this.zone) / 60000;
		const far = `${two(Math.floor(Math.abs(away) / 60))}:${two(Math.abs(away) % 60)}`;
		const at = this.zone === 'UTC' ? 'Z' : `${away < 0 ? '-' : '+'}${far}`;
		return `${this.toFormat("yyyy-MM-dd'T'HH:mm:ss")}.${two(this.ms % 1000, 3)}${at}`;
	}

	toFormat(form) {
		if (!this.isValid) return 'Invalid DateTime';
		const tokens = {
			yyyy: () => two(this.year, 4), MM: () => two(this.month), dd: () => two(this.day),
			HH: () => two(this.hour), mm: () => two(this.minute), ss: () => two(this.second),
			h: () => String(this.hour % 12 || 12),
			cccc: () => DAYS[this.weekday % 7],
			LLLL: () => MONTHS[this.month - 1],
		};
		return form.replace(/'([^']*)'|yyyy|MM|dd|HH|mm|ss|h|cccc|LLLL/g, (token, quoted) =>
			quoted === undefined ? tokens[token]() : quoted,
		);
	}
}
