// What hostile pages can do to an endpoint that lists its origins:
//
//     node hostile.js chromium|firefox SERVER PAGES
//
// SERVER and PAGES are ports on 127.0.0.1: of the server of tests/browser/victim.rs, and of the one for pages of other
// origins. Exits with 0 if nothing was read or sent and the listed page could do everything, or if there is no such
// browser; CHROMIUM and FIREFOX may say where it is. With HEADERS set it prints what the attacks carry instead.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { attacks } = require('./attacks.js');
const { within, launchers } = require('./browsers.js');
const transports = require('./transports.js');

const [BROWSER, SERVER, PAGES] = process.argv.slice(2);
const LISTED = `http://friend.test:${PAGES}/page`;
const ATTACKS = attacks(LISTED);

const RUN = 165_000;
// What a transport of the listed page is given; one that does not work is given up sooner by the client.
const PATIENCE = 5_000;

// Names that lead to 127.0.0.1. Browsers say in Sec-Fetch-Site where a request comes from, but only to who is asked by
// HTTPS or at a name that is this machine's for certain: 127.0.0.1 is, and `localhost` and all below it, but not these.
const NAMES = ['victim.test', 'evil.test', 'rebound.test', 'friend.test'];

// `here` is the page's host and port, `there` those by which it names the server.
const HOSTILE = [
  ['another port', `127.0.0.1:${PAGES}`, `127.0.0.1:${SERVER}`],
  ['another site', `evil.test:${PAGES}`, `127.0.0.1:${SERVER}`],
  ['another site, plain name', `evil.test:${PAGES}`, `victim.test:${SERVER}`],
  // A name of the attacker's, which has come to lead to the server.
  ['rebound name', `rebound.test:${SERVER}`, `rebound.test:${SERVER}`],
  ['rebound localhost', `rebound.localhost:${SERVER}`, `rebound.localhost:${SERVER}`],
].flatMap(([name, here, there]) => [
  { name, here, there, policy: '' },
  { name: `${name}, no-referrer`, here, there, policy: 'no-referrer' },
]).map((page, number) => ({ ...page, column: String.fromCharCode(97 + number) }));

const url = page => `http://${page.here}/page?${page.policy}`;
const seen = async () => (await fetch(`http://127.0.0.1:${SERVER}/seen`)).json();

// A session that pages can send to: a program opens it, which has no origin.
async function leak(endpoint, id) {
  const answer = await fetch(`http://127.0.0.1:${SERVER}${endpoint}/0/${id}/xhr?leaked`, { method: 'POST' });
  return answer.text();
}

// All attacks of one page on the endpoints below a path: for each, what came of it.
async function run(browser, hostile, below, lines, atOnce) {
  // What is left of the page before does not count.
  await seen();
  const leaked = `leaked-${hostile.column}`;
  if (below !== '/record') {
    const opened = await Promise.all(lines.map((_, number) => leak(`${below}/${number}`, leaked)));
    assert(opened.every(frame => frame === 'o\n'), opened.join());
  }
  const page = await browser.open(url(hostile));
  const argument = [`http://${hostile.there}${below}`, lines, leaked, atOnce];
  const outcomes = await page.evaluate(argument => attackAll(...argument), argument);
  await page.close();
  const visits = await seen();
  return lines.map((_, number) => {
    const { opened = 0, cookie = 0, messages = [], heads = [] } = visits[`${below}/${number}`] ?? {};
    const { read, info, wrong } = outcomes[number];
    const letters = `${read ? 'r' : ''}${opened ? 'o' : ''}${messages.length ? 's' : ''}`;
    return { letters: letters || '-', cookie: cookie > 0, info, wrong, heads };
  });
}

function print(title, columns, rows) {
  const widths = columns.map((column, at) => Math.max(column.length, ...rows.map(row => row[at].length)));
  console.log(`\n${title}`);
  for (const row of [columns, ...rows]) {
    console.log(row.map((text, at) => text.padEnd(widths[at])).join('  ').trimEnd());
  }
}

const LETTERS = 'r it reads, o a session opens, s it sends, i it reads /info, * with the cookie, ! a mistake';
const shown = ({ letters, cookie, info, wrong }) =>
  `${letters}${info ? 'i' : ''}${cookie ? '*' : ''}${wrong.length ? '!' : ''}`;

// The attacks are attacks: where nobody forbids it they do what is said of them, or more. One line of each is enough, and
// few at once, as browsers open six connections to a server.
async function control(browser) {
  const [page] = HOSTILE;
  const outcomes = await run(browser, page, '/open', ATTACKS.map(({ lines }) => lines.slice(0, 1)), 3);
  const title = `${browser.version}, any origin: what ${page.name} does, and must do to be an attack`;
  print(title, ['attack', 'does', 'must'], ATTACKS.map(({ name, open }, at) => [name, shown(outcomes[at]), open]));
  return ATTACKS.flatMap(({ name, open }, at) => [...open].every(letter => outcomes[at].letters.includes(letter))
    ? [] : [`${name} is no attack: ${outcomes[at].letters} for ${open}`]);
}

async function hostile(browser) {
  const outcomes = [];
  for (const page of HOSTILE) outcomes.push(await run(browser, page, '/chat', ATTACKS.map(({ lines }) => lines), 12));
  print(
    `${browser.version}, origins listed: ${LETTERS}`,
    ['attack', ...HOSTILE.map(({ column }) => column)],
    ATTACKS.map(({ name }, number) => [name, ...outcomes.map(outcome => shown(outcome[number]))]),
  );
  for (const { column, name, here, there } of HOSTILE) {
    console.log(`${column}: ${name}, http://${here} to http://${there}`);
  }
  const wrong = [];
  HOSTILE.forEach((page, at) => ATTACKS.forEach(({ name }, number) => {
    const outcome = outcomes[at][number];
    if (outcome.letters !== '-') wrong.push(`${page.name}, ${name}: ${outcome.letters}`);
    // To a server that is not told where a request comes from a page of its own name is a program.
    if (outcome.info && page.here !== page.there) wrong.push(`${page.name}, ${name}: it reads /info`);
    for (const mistake of outcome.wrong) wrong.push(`${page.name}, ${name}: ${mistake}`);
  }));
  return wrong;
}

// What the page whose origin is listed can do, by either name of the server. One that does not say where it comes from
// has to do without what carries no Origin: scripts, and the frame with the iframe page.
const NAMELESS = ['websocket', 'xhr-streaming', 'eventsource', 'xhr-polling'];

async function friendly(browser) {
  const rows = transports.CROSS_ORIGIN.map(transport => [transport]);
  const wrong = [];
  const columns = ['', 'no-referrer'].flatMap(policy => ['127.0.0.1', 'victim.test'].map(host => ({ policy, host })));
  for (const { policy, host } of columns) {
    const page = await browser.open(`${LISTED}?${policy}`);
    for (const row of rows) {
      const [transport] = row;
      let outcome = 'works';
      try {
        await within(PATIENCE, transports.echoes(page, `http://${host}:${SERVER}`, transport));
      } catch (error) {
        outcome = error.actual ? `${error.actual.code} ${error.actual.reason}` : error.message;
      }
      row.push(outcome);
      const must = !policy || NAMELESS.includes(transport);
      if (must && outcome !== 'works') wrong.push(`listed page, ${policy}, ${host}, ${transport}: ${outcome}`);
    }
    await page.close();
  }
  print(`${browser.version}, the listed page`,
    ['transport', ...columns.map(({ policy, host }) => `${host} ${policy}`.trim())], rows);
  return wrong;
}

// What each request of each attack carries: from a path that notes it.
async function headers(browser) {
  for (const page of HOSTILE) {
    const outcomes = await run(browser, page, '/record', ATTACKS.map(({ lines }) => lines), 3);
    const rows = new Set();
    ATTACKS.forEach(({ name }, number) => {
      for (const { method, path, fields } of outcomes[number].heads) {
        const kind = path.replace(/^\/\d+\/[\w-]+/, '').replace(/\?.*/, '');
        const of = name => fields[name] ?? '-';
        rows.add([name, `${method} ${kind}`, of('host'), of('origin'), of('referer'), of('sec-fetch-site'),
          of('sec-fetch-mode'), of('sec-fetch-dest'), fields.cookie ? 'yes' : '-'].join('\t'));
      }
    });
    print(`${browser.version}, ${page.name}: ${url(page)}`,
      ['attack', 'request', 'Host', 'Origin', 'Referer', 'Sec-Fetch-Site', 'Mode', 'Dest', 'Cookie'],
      [...rows].map(row => row.split('\t')));
  }
}

async function main() {
  const { binary, launch } = launchers[BROWSER];
  if (!fs.existsSync(binary)) {
    console.log(`skipped: there is no ${binary}; ${BROWSER.toUpperCase()} may name another`);
    return;
  }
  const browser = await launch(NAMES);
  try {
    for (const host of ['127.0.0.1', 'victim.test']) {
      const page = await browser.open(`http://${host}:${SERVER}/login`);
      await page.close();
    }
    if (process.env.HEADERS) {
      await headers(browser);
      return;
    }
    const wrong = [...await control(browser), ...await hostile(browser), ...await friendly(browser)];
    if (wrong.length) throw new Error(`${wrong.length} wrong:\n${wrong.join('\n')}`);
  } finally {
    await browser.close();
  }
}

within(RUN, main()).then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
