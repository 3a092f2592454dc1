if (!person) return { answer: fail('no_name', 'A name is needed to book.') };
const t = read(text('day'), text('time'));
const answer = fault(t, text('day'), text('time'));
if (answer) return { answer };
const day = t.startOf('day');
return { ...wanted(t), from: day.toISO(), to: day.plus({ days: 1 }).toISO() };
