// A signalling server on a real Socket.IO: node server.js <2|4> <transports> [port].
// It prints its port. "id" is sent on connect; other events are printed as JSON lines.
"use strict";

const http = require("http");

const [version, transports, port] = process.argv.slice(2);
const server = http.createServer();
const options = {
  transports: transports.split(","),
  pingInterval: 300,
  pingTimeout: 20000, // a busy machine holds Node up for seconds
};
const library = require("socket.io-" + version);
const io = version === "2" ? library(server, options) : new library.Server(server, options);

const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

io.on("connection", (socket) => {
  print({ event: "connection", transport: socket.conn.transport.name });
  socket.conn.on("upgrade", () => print({ event: "upgrade" }));
  socket.on("disconnect", (reason) => print({ event: "disconnect", reason }));
  socket.on("loginStatus", (status) => {
    print({ event: "loginStatus", status });
    socket.emit("echo", status, { twice: status + status });
  });
  socket.on("kick", () => socket.disconnect(true));
  socket.on("drop", () => socket.conn.close());
  socket.on("binary", () => socket.emit("bytes", Buffer.from([1, 2, 3])));
  socket.on("flood", () => {
    for (let i = 0; i < 10000; i++) socket.emit("id", i);
    socket.emit("end");
  });
  socket.emit("id", socket.id);
});

server.listen(Number(port) || 0, "127.0.0.1", () => print({ event: "listening", port: server.address().port }));
