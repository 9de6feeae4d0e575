# The emulator (examples/devserver) as a static binary, with nothing else and nobody's rights.
#
#	docker build -t mirrorfly-emulator .
#	docker run --rm --name emulator -p 127.0.0.1:8443:8443 mirrorfly-emulator
#	docker cp emulator:/data/ca.pem .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/devserver ./examples/devserver
RUN mkdir /out/tmp /out/data

FROM scratch
COPY --from=build /out/devserver /devserver
# The only folders that it may write to: temporary files, and what -ca-out and -data keep.
COPY --from=build --chown=65532:65532 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
EXPOSE 8443
# All addresses, because a published port does not lead to the container's loopback; the page for
# all, because nobody who comes through that port is local. Of a flag that is given again the last
# one counts.
ENTRYPOINT ["/devserver", "-listen", "0.0.0.0:8443", "-domain", "localhost", "-page", "all", "-ca-out", "/data/ca.pem"]
