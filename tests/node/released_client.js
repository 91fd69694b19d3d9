// The released sockjs-client against a server with the endpoints of section 11 of the wire contract:
//
//     node released_client.js http://127.0.0.1:8081
//
// Over each transport that runs in Node: 1,000 echoes in order, a close by the client, and a close by the server.
// Exits with 0 if all went well, and says what did not otherwise.

'use strict';

const assert = require('assert');
const SockJS = require('sockjs-client');

const COUNT = 1000;
const TRANSPORTS = ['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'];

// What is awkward for someone on the way: escapes, a percent sign, what JavaScript ends lines with, characters of two
// to four bytes, and those that SockJS escapes.
const AWKWARD = [
  'plain', '', '"\\', '\u0000\u0001\u001f', '\r\n\t\b\f', '%41 %0a', '\u007f', '\u00e9', '\u2028\u2029',
  '\u200c\u206f\ufff0\uffff', '\u65e5\u672c', '\u{1f600}', '</script>', '[]', 'c[3000,"x"]', 'x'.repeat(3000),
];

const message = number => `${number} ${AWKWARD[number % AWKWARD.length]}`;

// Opens a session over one transport and resolves with how it ended.
function session(url, transport, {onopen = () => {}, onmessage}) {
  return new Promise((resolve, reject) => {
    const socket = new SockJS(url, null, {transports: [transport]});
    let open = false;
    socket.onopen = () => {
      try {
        assert.strictEqual(socket.transport, transport);
        open = true;
        onopen(socket);
      } catch (error) {
        reject(error);
      }
    };
    socket.onmessage = event => {
      try {
        assert(open, 'messages come behind the open');
        onmessage(socket, event.data);
      } catch (error) {
        reject(error);
      }
    };
    socket.onclose = ({code, reason, wasClean}) => resolve({code, reason, wasClean, open});
  });
}

async function echo(base, transport) {
  let sent = 0;
  let received = 0;
  const send = socket => socket.send(message(sent++));
  const end = await session(`${base}/echo`, transport, {
    onopen(socket) {
      // Some at once, to be packed; the others one for each that comes back.
      for (let ahead = 0; ahead < 50; ahead++) send(socket);
    },
    onmessage(socket, data) {
      assert.strictEqual(data, message(received), `message ${received}`);
      received++;
      if (sent < COUNT) send(socket);
      if (received === COUNT) socket.close(1000, 'Done');
    },
  });
  assert.strictEqual(received, COUNT);
  assert.deepStrictEqual(end, {code: 1000, reason: 'Done', wasClean: true, open: true});
}

async function goAway(base, transport) {
  const end = await session(`${base}/close`, transport, {
    onmessage() {
      assert.fail('nothing is sent here');
    },
  });
  assert.deepStrictEqual(end, {code: 3000, reason: 'Go away!', wasClean: true, open: true});
}

async function main(base) {
  for (const transport of TRANSPORTS) {
    for (const [name, test] of Object.entries({echo, goAway})) {
      try {
        await test(base, transport);
      } catch (error) {
        error.message = `${transport}, ${name}: ${error.message}`;
        throw error;
      }
      console.log(`${transport}, ${name}: ok`);
    }
  }
}

main(process.argv[2]).then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
