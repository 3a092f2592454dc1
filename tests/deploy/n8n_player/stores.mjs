// The stores behind the workflows, each as far as these use it: n8n's Data Table, and a calendar
// server for CalDAV. Every method that takes time is a generator: whoever plays it may let others
// go first where it yields.

/** A Data Table. As in PostgreSQL a row is numbered first and seen later. */
export class DataTable {
	rows = [];

	*run(given, valueOf) {
		const { operation, filters, matchType, columns } = given;
		const conditions = (filters?.conditions ?? []).map(({ keyName, keyValue }) => [keyName, valueOf(keyValue)]);
		const holds = (row) => ([name, value]) => String(row[name]) === String(value);
		const fits = (row) =>
			matchType === 'anyCondition' ? conditions.some(holds(row)) : conditions.every(holds(row));
		const told = columns && Object.fromEntries(
			Object.entries(columns.value).map(([name, value]) => [name, valueOf(value)]),
		);
		if (operation === 'insert') {
			const at = new Date(Date.now()).toISOString();
			const row = { ...told, id: this.rows.length + 1, createdAt: at, updatedAt: at };
			this.rows.push(row);
			yield;
			row.isSeen = true;
			return [{ ...row }];
		}
		const found = this.rows.filter((row) => row.isSeen && fits(row));
		if (operation === 'update') for (const row of found) Object.assign(row, told);
		return found.map((row) => ({ ...row }));
	}

	/** What somebody who looks at the table sees: who has which time. */
	kept() {
		return this.rows
			.filter((row) => row.state === 'booked')
			.map((row) => `${row.name} ${row.slot.slice(0, 16)}`);
	}
}

/** A CalDAV server with one calendar. `refuses` are methods that it answers with 403. */
export class Calendar {
	files = new Map();
	refuses = [];

	*run(given, valueOf) {
		const method = valueOf(given.method);
		const name = decodeURIComponent(valueOf(given.url).split('/').pop());
		if (this.refuses.includes(method)) return [{ statusCode: 403 }];
		if (method === 'REPORT') return [{ data: this.#listed(valueOf(given.body)) }];
		if (method === 'PUT') {
			if (this.files.has(name)) return [{ statusCode: 412 }];
			this.files.set(name, valueOf(given.body));
			return [{ statusCode: 201 }];
		}
		return [{ statusCode: this.files.delete(name) ? 200 : 404 }];
	}

	#listed(report) {
		const [, from, to] = /time-range start="(\w+)" end="(\w+)"/.exec(report);
		const inRange = [...this.files].filter(([, text]) => at(text, 'DTSTART') < to && at(text, 'DTEND') > from);
		const each = inRange.map(([name, text]) =>
			`<response><href>/parley/${name}</href><calendar-data>${text}</calendar-data></response>`);
		return `<multistatus>${each.join('')}</multistatus>`;
	}

	kept() {
		return [...this.files.values()].map((text) => {
			const when = at(text, 'DTSTART').replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d).*/, '$1-$2-$3T$4:$5');
			return `${at(text, 'SUMMARY')} ${when}`;
		});
	}
}

const at = (text, name) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(text)[1];
