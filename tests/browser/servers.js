// The servers of a run: `sockjs-echo` as a process of its own, one for the pages of another origin, and a bad proxy.

'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { once } = require('node:events');
const readline = require('node:readline');

// Starts `sockjs-echo` with a client library. Port 0 is any free one; `url` says where it listens.
async function startEcho(binary, library, port = 0) {
  const child = spawn(binary, ['--listen', `127.0.0.1:${port}`, '--client-js', library], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // It does not outlive a run that fails.
  const kill = () => child.kill('SIGKILL');
  process.on('exit', kill);
  child.on('exit', () => process.off('exit', kill));
  const [line] = await Promise.race([
    once(readline.createInterface(child.stdout), 'line'),
    once(child, 'exit').then(([code]) => { throw new Error(`sockjs-echo ended with ${code}`); }),
  ]);
  const address = /on (127\.0\.0\.1:(\d+))/.exec(line);
  return {
    url: `http://${address[1]}`,
    port: Number(address[2]),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

// Serves a page with the library and `client.js`: nothing of SockJS is at this origin.
async function startPages(library) {
  const page = '<!doctype html><meta charset="utf-8"><title>Another origin</title><link rel="icon" href="data:,">'
    + '<script src="/sockjs.js"></script><script src="/client.js"></script>';
  const files = { '/sockjs.js': library, '/client.js': path.join(__dirname, 'client.js') };
  const server = http.createServer((request, response) => {
    const file = files[request.url];
    response.setHeader('Content-Type', `${file ? 'application/javascript' : 'text/html'}; charset=UTF-8`);
    response.end(file ? fs.readFileSync(file) : page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

// A bad proxy in front of a server: it knows nothing of WebSocket, waits for the end of a response before it passes that on,
// and forbids what is in `forbidden`.
async function startProxy(port, forbidden) {
  const proxy = http.createServer((request, response) => {
    response.setHeader('Via', '1.1 proxy.test');
    if (forbidden.test(request.url)) {
      response.writeHead(403, { 'Content-Type': 'text/plain' });
      response.end('Forbidden');
      return;
    }
    const headers = { ...request.headers, connection: 'close' };
    delete headers.upgrade;
    const onward = http.request({ host: '127.0.0.1', port, method: request.method, path: request.url, headers }, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('end', () => {
        const { connection, 'transfer-encoding': coding, ...rest } = answer.headers;
        response.writeHead(answer.statusCode, rest);
        response.end(Buffer.concat(parts));
      });
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    stop() {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}

module.exports = { startEcho, startPages, startProxy };
