// The released sockjs-client against an endpoint that refuses everybody with the close 4001 "no token":
//
//     node refused.js http://127.0.0.1:8081/e
//
// Over each transport that runs in Node, and with the client's own choice among all of them: the page hears of that code
// and reason. Exits with 0 if all went well, and says what did not otherwise.

'use strict';

const assert = require('assert');
const SockJS = require('sockjs-client');

const CHOICES = [['websocket'], ['xhr-streaming'], ['xhr-polling'], ['eventsource'], undefined];

const ending = transports => new Promise(resolve => {
  const socket = new SockJS(process.argv[2], null, {transports});
  const heard = [];
  socket.onopen = () => heard.push('open');
  socket.onmessage = event => heard.push(event.data);
  socket.onclose = ({code, reason, wasClean}) => resolve({heard, code, reason, wasClean});
});

(async () => {
  for (const transports of CHOICES) {
    const expected = {heard: ['open'], code: 4001, reason: 'no token', wasClean: true};
    assert.deepStrictEqual(await ending(transports), expected, String(transports));
  }
})().catch(error => {
  console.error(error);
  process.exit(1);
});
