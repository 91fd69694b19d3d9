// Runs in the page. One session at a time, over one transport, and everything that can be seen of it.

'use strict';

// What is awkward for someone on the way: escapes, a percent sign, what JavaScript ends lines with, characters of two
// to four bytes, those that SockJS escapes, halves of a surrogate pair, and 64 KiB at once.
const AWKWARD = [
  'plain', '', '"\\', '\u0000\u0001\u001f', '\r\n\t\b\f', '%41 %0a', '\u007f', '\u00e9', '\u2028\u2029', '\ufeff',
  '\u200c\u206f\ufff0\uffff', '\u65e5\u672c', '\u{1f600}', '</script><!--', '[]', 'c[3000,"x"]', 'a+b&d=1;',
  '\ud800', '\udc00 \ud83d', '\udc00\ud800',
];
let COUNT = 200;

const message = number =>
  number % 50 === 49 ? `${number} ${'\u20acx'.repeat(1 << 14)}` : `${number} ${AWKWARD[number % AWKWARD.length]}`;

// Opens a session and resolves with how it went: the transport, what came, and the close.
function session(url, transports, on) {
  return new Promise(resolve => {
    const socket = new SockJS(url, null, transports ? { transports } : {});
    const seen = { transport: null, opens: 0, messages: 0, heartbeats: 0, wrong: null };
    socket.onopen = () => {
      seen.opens++;
      seen.transport = socket.transport;
      on.open?.(socket);
    };
    socket.onmessage = event => {
      on.message?.(socket, event.data, seen);
      seen.messages++;
    };
    socket.onheartbeat = () => {
      // The client takes the prelude of a stream, which is `h` 2,048 times, for one.
      if (!seen.opens) return;
      seen.heartbeats++;
      on.heartbeat?.(socket, seen);
    };
    socket.onclose = ({ code, reason, wasClean }) => resolve({ ...seen, code, reason, wasClean });
  });
}

// All messages there and back in order, then a close by the page. A lone surrogate comes back as U+FFFD (section 6).
function echo(url, transports) {
  let sent = 0;
  const send = socket => socket.send(message(sent++));
  return session(url, transports, {
    open(socket) {
      // Some at once, to be packed; the others one for each that comes back.
      for (let ahead = 0; ahead < 20; ahead++) send(socket);
    },
    message(socket, data, seen) {
      const wanted = message(seen.messages).toWellFormed();
      if (data !== wanted) {
        seen.wrong ??= `message ${seen.messages}: ${JSON.stringify(data)} for ${JSON.stringify(wanted)}`.slice(0, 200);
        socket.close(4000, 'Wrong');
        return;
      }
      if (sent < COUNT) send(socket);
      if (seen.messages === COUNT - 1) socket.close(1000, 'Done');
    },
  });
}

// Opens and waits for the server to close it.
const listen = (url, transports) => session(url, transports, { open() { window.isOpen = true; } });

// The same, and asks for that.
const ask = (url, transports) => session(url, transports, { open(socket) { socket.send('now'); } });

// Closes it when three heartbeats have come.
function beats(url, transports) {
  return session(url, transports, {
    heartbeat(socket, seen) {
      if (seen.heartbeats === 3) socket.close(1000, 'Alive');
    },
  });
}

// What an application does about a restart: opens a new session whenever one closes, until a message came back.
async function reconnect(url) {
  const closes = [];
  for (;;) {
    const end = await session(url, null, {
      open(socket) { socket.send('back'); },
      message(socket) { socket.close(1000, 'Back'); },
    });
    if (end.messages) return closes;
    closes.push(end.code);
  }
}
