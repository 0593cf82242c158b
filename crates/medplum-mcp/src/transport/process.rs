//! The process' own standard streams, read and written without holding up the runtime.
//!
//! Hosts give a server pipes (most) or socket pairs (Node). On Unix both are registered with the runtime itself, which
//! saves two thread switches a message. Files, terminals, and everything on Windows cannot be: each gets a thread of its
//! own, which blocks so that nobody else has to.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{mpsc, oneshot},
};

/// Where messages come from.
pub(super) type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Where messages go.
pub(super) type Output = Box<dyn AsyncWrite + Send + Unpin>;

/// How much a thread reads, or takes to write, at once.
const CHUNK: usize = 64 * 1024;

/// Standard input.
pub(super) fn input() -> io::Result<Input> {
    #[cfg(unix)]
    if let Some(input) = unix::input() {
        return Ok(input);
    }
    Ok(Box::new(ThreadReader::new(io::stdin())?))
}

/// Standard output.
pub(super) fn output() -> io::Result<Output> {
    #[cfg(unix)]
    if let Some(output) = unix::output() {
        return Ok(output);
    }
    Ok(Box::new(ThreadWriter::new(io::stdout())?))
}

/// Waits until nobody reads standard output any more: then nobody hears an answer. Where that cannot be told before
/// something is written, as of a file, a terminal, and on Windows, it never ends.
pub(super) async fn unheard() {
    #[cfg(unix)]
    unix::output_closed().await;
    #[cfg(not(unix))]
    std::future::pending().await
}

#[cfg(unix)]
mod unix {
    use std::{
        fs::File,
        io,
        os::{
            fd::{AsFd, OwnedFd},
            unix::{fs::FileTypeExt, net::UnixStream as StdUnixStream},
        },
    };

    use tokio::io::Interest;
    use tokio::net::{
        UnixStream,
        unix::pipe::{OpenOptions, Receiver, Sender},
    };

    use super::{Input, Output};

    /// Opening it anew gives us a description of our own: "non-blocking" is then not seen by whoever shares the old one,
    /// such as our own stderr after `2>&1`. Only Linux has this path; elsewhere the open fails and the old one is used.
    const INPUT: &str = "/proc/self/fd/0";
    const OUTPUT: &str = "/proc/self/fd/1";

    pub(super) fn input() -> Option<Input> {
        match Kind::of(io::stdin())? {
            Kind::Pipe(pipe) => {
                let reopened = OpenOptions::new().open_receiver(INPUT);
                let receiver = reopened.or_else(|_| Receiver::from_owned_fd(pipe)).ok()?;
                Some(Box::new(receiver))
            }
            Kind::Socket(socket) => Some(Box::new(stream(socket).ok()?)),
        }
    }

    pub(super) fn output() -> Option<Output> {
        match Kind::of(io::stdout())? {
            Kind::Pipe(pipe) => {
                let sender = sender(pipe).ok()?;
                Some(Box::new(sender))
            }
            Kind::Socket(socket) => Some(Box::new(stream(socket).ok()?)),
        }
    }

    /// Ends when the other side of standard output is closed. Never, where that cannot be told.
    pub(super) async fn output_closed() {
        let closed = match Kind::of(io::stdout()) {
            Some(Kind::Pipe(pipe)) => pipe_closed(pipe).await,
            Some(Kind::Socket(socket)) => socket_closed(socket).await,
            None => None,
        };
        if closed.is_none() {
            std::future::pending().await
        }
    }

    async fn pipe_closed(pipe: OwnedFd) -> Option<()> {
        // A pipe that nobody reads is in error.
        let sender = sender(pipe).ok()?;
        sender.ready(Interest::ERROR).await.ok().map(drop)
    }

    async fn socket_closed(socket: OwnedFd) -> Option<()> {
        let socket = stream(socket).ok()?;
        while !socket.ready(Interest::WRITABLE).await.ok()?.is_write_closed() {
            // Until something changes.
            let _ = socket.try_io(Interest::WRITABLE, || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
        }
        Some(())
    }

    /// What can be waited for without a thread.
    enum Kind {
        Pipe(OwnedFd),
        Socket(OwnedFd),
    }

    impl Kind {
        fn of(stream: impl AsFd) -> Option<Self> {
            let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
            let kind = file.metadata().ok()?.file_type();
            if kind.is_fifo() {
                Some(Self::Pipe(file.into()))
            } else if kind.is_socket() {
                Some(Self::Socket(file.into()))
            } else {
                None
            }
        }
    }

    fn sender(pipe: OwnedFd) -> io::Result<Sender> {
        OpenOptions::new().open_sender(OUTPUT).or_else(|_| Sender::from_owned_fd(pipe))
    }

    fn stream(socket: OwnedFd) -> io::Result<UnixStream> {
        let socket = StdUnixStream::from(socket);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }
}

/// What a thread reads. The thread is not waited for: one that blocks in a read ends with the process.
struct ThreadReader {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
}

impl ThreadReader {
    fn new(mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(2);
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match source.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => {
                        chunk.truncate(length);
                        Ok(chunk)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.blocking_send(read).is_err() || failed {
                    break;
                }
            }
        })?;
        Ok(Self { chunks, chunk: io::Cursor::default() })
    }
}

impl AsyncRead for ThreadReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            ready!(Pin::new(&mut self.chunk).poll_read(cx, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.chunks.poll_recv(cx)) {
                Some(chunk) => self.chunk = io::Cursor::new(chunk?),
                None => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// One piece of output, and who is told when it is out.
type Piece = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// What a thread writes, one piece at a time.
struct ThreadWriter {
    pieces: Option<std::sync::mpsc::Sender<Piece>>,
    pending: Option<oneshot::Receiver<io::Result<()>>>,
}

impl ThreadWriter {
    fn new(mut target: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, pieces) = std::sync::mpsc::channel::<Piece>();
        std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            while let Ok((piece, done)) = pieces.recv() {
                let _ = done.send(target.write_all(&piece).and_then(|()| target.flush()));
            }
        })?;
        Ok(Self { pieces: Some(sender), pending: None })
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(pending) = self.pending.as_mut() else {
            return Poll::Ready(Ok(()));
        };
        let done = ready!(Pin::new(pending).poll(cx));
        self.pending = None;
        Poll::Ready(done.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())))
    }
}

impl AsyncWrite for ThreadWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        let piece = bytes.get(..CHUNK).unwrap_or(bytes).to_vec();
        let length = piece.len();
        let (sender, receiver) = oneshot::channel();
        match self.pieces.as_ref().map(|pieces| pieces.send((piece, sender))) {
            Some(Ok(())) => {
                self.pending = Some(receiver);
                Poll::Ready(Ok(length))
            }
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_idle(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        self.pieces = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_thread_reads_to_the_end() {
        let input: Vec<u8> = (0..CHUNK * 3 + 5).map(|n| (n % 251) as u8).collect();
        let mut reader = ThreadReader::new(io::Cursor::new(input.clone())).unwrap();
        let mut seen = Vec::new();
        reader.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, input);
    }

    #[derive(Clone, Default)]
    struct Target {
        written: Arc<Mutex<Vec<u8>>>,
        room: usize,
    }

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().unwrap();
            if written.len() >= self.room {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_thread_writes_all_before_a_flush_is_done() {
        let target = Target { room: usize::MAX, ..Target::default() };
        let mut writer = ThreadWriter::new(target.clone()).unwrap();
        let output = vec![b'x'; CHUNK * 3 + 5];
        writer.write_all(&output).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(target.written.lock().unwrap().len(), output.len());
        writer.shutdown().await.unwrap();
        assert!(writer.write_all(b"x").await.is_err());
    }

    #[tokio::test]
    async fn a_broken_pipe_is_an_error_and_no_more() {
        let mut writer = ThreadWriter::new(Target::default()).unwrap();
        let _ = writer.write_all(b"x").await;
        assert!(writer.flush().await.is_err());
    }
}
