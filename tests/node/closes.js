// What a page hears of each way in which a session ends, from the released sockjs-client, against the guide's table:
//
//     node closes.js GUIDE MAIN OTHER STOPPING DRAINING SMALL
//
// GUIDE is the Markdown file with the table, the others are URLs of servers: see closes.rs. Each row of the table has cases
// here, and what each case hears must be in its row. Exits with 0 if all went well, and says what did not otherwise.

'use strict';

const assert = require('assert');
const fs = require('fs');
const http = require('http');
const { execFileSync } = require('child_process');
const { Client: WebSocket } = require('faye-websocket');
const SockJS = require('sockjs-client');

const [guide, main, other, stopping, draining, small] = process.argv.slice(2);
const HTTP = ['xhr-streaming', 'xhr-polling', 'eventsource'];
const ALL = ['websocket', ...HTTP];

// What a case may take; each takes less than two seconds.
const PATIENCE = 15_000;

// The rows below the line `| code | reason |`: which codes, which reasons (`…` is any text), and when.
function readTable() {
  const lines = fs.readFileSync(guide, 'utf8').split('\n');
  const start = lines.findIndex(line => line.startsWith('| code | reason |')) + 2;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith('|'));
  return lines.slice(start, end).map(line => {
    const [codes, reasons, when] = line.split('|').slice(1).map(cell => cell.trim());
    const quoted = [...reasons.matchAll(/`([^`]*)`/g)].map(([, reason]) => reason);
    if (reasons.includes('empty')) quoted.push('');
    // In words: any text.
    if (/as the|what/.test(reasons)) quoted.push('…');
    return {
      when,
      cases: 0,
      allows(code, reason) {
        const isCode = codes.split(', ').some(range => {
          const [first, last = first] = range.split('–').map(Number);
          return first <= code && code <= last;
        });
        return isCode && quoted.some(text => {
          const [before, after] = text.split('…');
          return after === undefined ? reason === text : reason.startsWith(before) && reason.endsWith(after);
        });
      },
    };
  });
}

const table = readTable();

// One case: what is heard is what was expected, and the one row for such an end says so.
async function check(transport, when, code, reason, hearing) {
  const name = `${transport}, ${when}`;
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${name}: no close`)), PATIENCE); });
  const heard = await Promise.race([hearing, late]);
  clearTimeout(timer);
  assert.deepStrictEqual(heard, { code, reason }, name);
  const rows = table.filter(row => row.when.includes(when));
  assert.strictEqual(rows.length, 1, `rows with ${when}`);
  assert(rows[0].allows(code, reason), `${name}: the row with "${when}" has no ${code} "${reason}"`);
  rows[0].cases++;
}

// A session that does something when it is open, and what its page hears at the end.
const ending = (url, transport, { open = () => {}, message = () => {} } = {}) => new Promise(resolve => {
  const socket = new SockJS(url, null, { transports: transport && [transport] });
  socket.onopen = () => open(socket);
  socket.onmessage = () => message(socket);
  socket.onclose = ({ code, reason }) => resolve({ code, reason });
});

// The same where the page asks the server for its end.
const asking = (url, transport, text) => ending(url, transport, { open: socket => socket.send(text) });

// A proxy in front of a server, which can lose connections on either side.
async function startProxy(target) {
  const pairs = new Set();
  const proxy = { target };
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const upstream = http.request(proxy.target + url, { method, headers, agent: false });
    const pair = { response, upstream };
    pairs.add(pair);
    response.on('close', () => pairs.delete(pair));
    upstream.on('error', () => response.destroy());
    upstream.on('response', answer => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(upstream);
  });
  server.on('upgrade', (request, socket) => {
    const upstream = http.request(proxy.target + request.url, { headers: request.headers, agent: false });
    socket.on('error', () => upstream.destroy());
    upstream.on('upgrade', (answer, other, first) => {
      const fields = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join('')}\r\n`);
      other.unshift(first);
      other.on('error', () => socket.destroy());
      socket.pipe(other).pipe(socket);
      pairs.add({ response: socket, upstream: other });
    });
    upstream.end();
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  // To the client its response seems to be complete.
  const complete = response => {
    if (!response.headersSent) response.writeHead(200);
    response.end();
  };
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${server.address().port}`,
    // The connections on both sides break.
    lose() {
      for (const { response, upstream } of pairs) {
        upstream.destroy();
        response.destroy();
      }
    },
    // The connection to the server breaks.
    interrupt() {
      for (const { response, upstream } of pairs) {
        upstream.removeAllListeners();
        upstream.on('error', () => {});
        upstream.destroy();
        complete(response);
      }
    },
    // The client's response ends, and the server does not know.
    forget() {
      for (const { response, upstream } of pairs) {
        upstream.removeAllListeners();
        upstream.on('error', () => {});
        complete(response);
      }
    },
    stop() {
      this.lose();
      server.closeAllConnections();
      server.close();
    },
  });
}

// How many polls, and other POSTs, the servers have seen, and how many sessions they have closed that did not read.
const tell = async () => (await fetch(main)).json();

// A session that does something when it is open and its receiver is at the server.
async function received(base, transport, act) {
  const [before] = await tell();
  return ending(`${base}/e`, transport, {
    async open(socket) {
      // The first poll has brought the open frame.
      if (transport === 'xhr-polling') while ((await tell())[0] < before + 2);
      act(socket);
    },
  });
}

// The same through a proxy.
async function proxied(transport, act) {
  const proxy = await startProxy(main);
  const heard = await received(proxy.url, transport, socket => act(proxy, socket));
  proxy.stop();
  return heard;
}

// A page that reads nothing from its first message on until the server has closed its session. While that is waited for, a
// client of another session may ask for something.
async function notReading(base, transport, { other } = {}) {
  const [, before] = await tell();
  const wait = `(async () => {
    const post = (path, body = '') => fetch('${base}/' + path, { method: 'POST', body }).then(answer => answer.text());
    for (let number = 0; (await (await fetch('${main}')).json())[1] === ${before}; number++) {
      ${other ? 'await other(post, `${process.pid}-${number}`);' : ''}
    }
  })()`;
  const script = other ? `const other = ${other}; ${wait}` : wait;
  let messages = 0;
  return ending(`${base}/${other ? 'crowd' : 'flood'}`, transport, {
    open: socket => socket.send('go'),
    message: () => messages++ === 0 && execFileSync(process.execPath, ['-e', script], { timeout: PATIENCE }),
  });
}

// A client that reads, and is to get much of the server's memory.
async function large(post, name) {
  const session = `crowd/000/${name}`;
  await post(`${session}/xhr`);
  await post(`${session}/xhr_send`, '["much"]');
  await post(`${session}/xhr`);
  await post(`${session}/xhr_send`, '["bye"]');
}

// A raw WebSocket of a program, which breaks the protocol.
const broken = send => new Promise(resolve => {
  const socket = new WebSocket(`${main.replace('http', 'ws')}/e/websocket`);
  socket.on('open', () => send(socket));
  socket.on('close', ({ code, reason }) => resolve({ code, reason }));
});

// Sessions over all transports at one server, one of which asks for the end of all when all receivers are at the server.
async function together(base, text, answered) {
  const [before] = await tell();
  let open = 0;
  return Promise.all(ALL.map(transport => ending(`${base}/e`, transport, {
    async open(socket) {
      if (++open < ALL.length) return;
      // One of xhr-streaming, two of xhr-polling.
      while ((await tell())[0] < before + 3);
      socket.send(text);
    },
    message: answered,
  })));
}

// What holds for one transport.
async function ends(transport) {
  const expect = (...expected) => check(transport, ...expected);
  const ask = text => asking(`${main}/e`, transport, text);
  await expect('called `close()`', 1000, 'Normal closure', ending(`${main}/e`, transport, { open: it => it.close() }));
  await expect('called `close()`', 1000, 'Bye', ask('close 1000 Bye'));
  await expect('for libraries', 3500, 'as it says', ask('close 3500 as it says'));
  await expect('`Refusal::close`', 4000, 'as agreed', ask('close 4000 as agreed'));
  await expect('`Refusal::close`', 4001, 'Log in first', ending(`${main}/refused`, transport));
  await expect('the handler panicked', 3000, 'Internal error', ask('panic'));
  await expect('refuses sessions', 2000, 'All transports failed', ending(`${main}/status`, transport));
  await expect('too slowly', 1013, 'Send queue full', notReading(main, transport));
  await expect('too slowly', 1013, 'Send queue full', asking(`${small}/e`, transport, 'overflow'));
}

const TOO_LARGE = 'x'.repeat(2 << 20);
const HALF = 'x'.repeat(900_000);

async function endsOfWebSocket() {
  const expect = (...expected) => check('websocket', ...expected);
  const ask = text => asking(`${main}/e`, 'websocket', text);
  const limit = 'RFC 6455 §10.4: a message is longer than the server\'s limit';
  await expect('over WebSocket: the same', 1009, limit, ask(TOO_LARGE));
  await expect('no room for what it sent', 1002, 'The server is out of memory', asking(`${small}/e`, 'websocket', HALF));
  await expect('made room', 1006, '', notReading(small, 'websocket', { other: large }));
  await expect('called [`terminate`]', 1006, '', ask('terminate'));
  await expect('was lost', 1006, '', proxied('websocket', proxy => proxy.lose()));
  // Raw WebSockets.
  const send = bytes => broken(socket => socket._stream.write(Buffer.from(bytes)));
  const unmasked = 'RFC 6455 §5.1: a frame from the client is not masked';
  await expect('broke the protocol', 1002, unmasked, send([0x81, 1, 0x78]));
  await expect('broke the protocol', 1007, 'RFC 6455 §8.1: text is not UTF-8', send([0x81, 0x81, 0, 0, 0, 0, 0xff]));
  const binary = 'Binary messages are not supported';
  await expect('broke the protocol', 1003, binary, broken(socket => socket.send(Buffer.from('x'))));
}

async function endsOfHttp(transport) {
  const expect = (...expected) => check(transport, ...expected);
  const status = number => `Sending error: Error: http status ${number}`;
  await expect('a message beyond', 1006, status(413), asking(`${main}/e`, transport, TOO_LARGE));
  await expect('over HTTP: no room', 1006, status(503), asking(`${small}/e`, transport, HALF));
  await expect('a connection broke', 1002, 'Connection interrupted', proxied(transport, proxy => proxy.interrupt()));
  await expect('a second receiver', 2010, 'Another connection still open', proxied(transport, proxy => proxy.forget()));
  // A balancer that sends the session to another process.
  await expect('does not know the session', 1006, 'Server lost session', proxied(transport, proxy => {
    proxy.target = other;
    proxy.interrupt();
  }));
  await expect('does not know the session', 1006, status(404), proxied(transport, (proxy, socket) => {
    proxy.target = other;
    socket.send('text');
  }));
}

// In Node the client does not see that an xhr-streaming response breaks off: browsers do, and call it `permanent`.
async function endsOfCutConnections() {
  const terminated = transport => received(main, transport, socket => socket.send('terminate'));
  const lost = transport => proxied(transport, proxy => proxy.lose());
  await check('xhr-polling', 'called [`terminate`]', 1006, 'permanent', terminated('xhr-polling'));
  await check('eventsource', 'called [`terminate`]', 1002, 'Session terminated', terminated('eventsource'));
  await check('xhr-polling', 'was lost', 1006, 'permanent', lost('xhr-polling'));
  await check('eventsource', 'a connection broke', 1002, 'Connection interrupted', lost('eventsource'));
  const reason = 'The server is out of memory';
  await check('eventsource', 'made room', 1013, reason, notReading(small, 'eventsource', { other: large }));
}

async function endsOfServers() {
  const unreachable = ['nothing listens', 1002, 'Cannot connect to server'];
  await check('not found', ...unreachable, ending(`${main}/nowhere`));
  // A page of an origin that is not listed, as a browser says so.
  const { request } = http;
  http.request = (options, ...rest) => {
    const headers = { ...options.headers, Origin: 'https://evil.example' };
    return request({ ...options, headers }, ...rest);
  };
  await check('foreign', ...unreachable, ending(`${main}/listed`));
  http.request = request;
  for (const heard of await together(stopping, 'shutdown')) {
    await check('shutdown', 'the server ends', 1001, 'Server shutdown', heard);
  }
  await check('stopped', ...unreachable, ending(`${stopping}/e`));
  // Two drains: the first leaves sessions their time, and refuses new ones.
  let refused;
  const all = await together(draining, 'drain 3600 Restart', async socket => {
    if (refused) return;
    refused = await ending(`${draining}/e`);
    socket.send('drain 0 Restart');
  });
  await check('drain', 'refuses sessions', 2000, 'All transports failed', refused);
  for (const heard of all) await check('drain', '`drain`', 1012, 'Restart', heard);
}

async function run() {
  for (const transport of ALL) await ends(transport);
  await endsOfWebSocket();
  for (const transport of HTTP) await endsOfHttp(transport);
  await endsOfCutConnections();
  await endsOfServers();
  const missing = table.filter(row => row.cases === 0).map(row => row.when);
  assert.deepStrictEqual(missing, [], 'rows without a case');
  console.log(`${table.length} rows, ${table.reduce((sum, row) => sum + row.cases, 0)} cases`);
}

run().then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
