//! The other end of the guest's network: a small server on the loopback interface, reached through QEMU's user networking.
//!
//! A connection begins with one line. `down SEED BYTES`: the server sends that stream and closes. `up`: it reads until the guest has
//! sent all, answers with the SHA-256 of it, and closes. Datagrams to the other port are kept: the guest's netconsole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::cache::hex;

/// How long a silent guest is waited for.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a thread looks whether it is to end.
const PAUSE: Duration = Duration::from_millis(20);

/// The server; it ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    port: u16,
    syslog: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Peer {
    /// Starts the server on ports that are free.
    ///
    /// # Errors
    /// When there is none.
    pub fn start() -> Result<Self> {
        let open = || -> io::Result<(TcpListener, UdpSocket)> {
            let streams = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            streams.set_nonblocking(true)?;
            let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            datagrams.set_read_timeout(Some(PAUSE))?;
            Ok((streams, datagrams))
        };
        let (streams, datagrams) = open().context("cannot listen on the loopback interface")?;
        let ports = || -> io::Result<(u16, u16)> {
            Ok((streams.local_addr()?.port(), datagrams.local_addr()?.port()))
        };
        let (port, syslog) = ports().context("cannot read the number of a port")?;
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::default();
        let accepting = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || accept(&streams, &stop))
        };
        let collecting = {
            let (stop, received) = (Arc::clone(&stop), Arc::clone(&received));
            thread::spawn(move || collect(&datagrams, &received, &stop))
        };
        Ok(Self {
            port,
            syslog,
            received,
            stop,
            threads: vec![accepting, collecting],
        })
    }

    /// The port for streams.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for datagrams.
    pub fn syslog(&self) -> u16 {
        self.syslog
    }

    /// Takes the datagrams that have come.
    pub fn datagrams(&self) -> Vec<Vec<u8>> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *received)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // One a thread: a guest may give up on one connection and open the next. What goes wrong with one is seen by
            // the guest, whose hash is another then.
            Ok((stream, _)) => drop(thread::spawn(move || serve(&stream))),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn collect(socket: &UdpSocket, received: &Mutex<Vec<Vec<u8>>>, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(length) = socket.recv(&mut buffer) {
            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
            received.push(buffer[..length].to_vec());
        }
    }
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    // A request has a few words.
    reader.by_ref().take(100).read_line(&mut request)?;
    let words: Vec<&str> = request.split_whitespace().collect();
    let mut writer = stream;
    match words.as_slice() {
        ["down", seed, bytes] => match (seed.parse(), bytes.parse()) {
            (Ok(seed), Ok(bytes)) => each_piece(seed, bytes, |piece| writer.write_all(piece)),
            _ => writer.write_all(b"not a seed and a number\n"),
        },
        ["up"] => {
            let mut hash = Hash(Sha256::new());
            io::copy(&mut reader, &mut hash)?;
            writeln!(writer, "{}", hex(&hash.0.finalize()))
        }
        _ => writer.write_all(b"not a request\n"),
    }
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the stream of `seed` to `take`, piece by piece.
fn each_piece(
    seed: u64,
    bytes: u64,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut buffer = [0; 16 << 10];
    let mut left = bytes;
    while left > 0 {
        random.fill_bytes(&mut buffer);
        let piece = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        take(&buffer[..piece])?;
        left -= piece as u64;
    }
    Ok(())
}

/// The SHA-256 of the stream of `seed`, in hexadecimal.
pub fn stream_hash(seed: u64, bytes: u64) -> String {
    let mut hash = Sha256::new();
    let update = |piece: &[u8]| {
        hash.update(piece);
        Ok(())
    };
    each_piece(seed, bytes, update).expect("hashing cannot fail");
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use super::*;

    fn talk(port: u16, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_stream_goes_down_and_up_again() {
        let peer = Peer::start().unwrap();
        let bytes = 300_001;
        let down = talk(peer.port(), format!("down 7 {bytes}\n").as_bytes());
        assert_eq!(down.len(), bytes);
        assert_eq!(hex(&Sha256::digest(&down)), stream_hash(7, bytes as u64));
        assert_ne!(stream_hash(8, bytes as u64), stream_hash(7, bytes as u64));
        let up = talk(peer.port(), &[b"up\n", down.as_slice()].concat());
        assert_eq!(
            String::from_utf8(up).unwrap().trim(),
            stream_hash(7, bytes as u64)
        );
    }

    #[test]
    fn other_requests_are_refused() {
        let peer = Peer::start().unwrap();
        assert_eq!(talk(peer.port(), b"hello\n"), b"not a request\n");
        assert_eq!(
            talk(peer.port(), b"down x 1\n"),
            b"not a seed and a number\n"
        );
    }

    #[test]
    fn datagrams_are_kept_until_they_are_taken() {
        let peer = Peer::start().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for text in ["one", "two"] {
            socket
                .send_to(text.as_bytes(), (Ipv4Addr::LOCALHOST, peer.syslog()))
                .unwrap();
        }
        let mut got = Vec::new();
        for _ in 0..100 {
            got.extend(peer.datagrams());
            if got.len() == 2 {
                break;
            }
            thread::sleep(PAUSE);
        }
        assert_eq!(got, [b"one", b"two"]);
    }
}
