//! How two nodes prove to each other that they know the cluster's secret, without telling it.
//!
//! ```text
//!  listener                                                            connector
//!     ── "FMa1" | nonce of the listener, 32 ─────────────────────────────▶
//!     ◀─ "FMa1" | nonce of the connector, 32 | proof of the connector, 32 ─
//!     ── proof of the listener, 32 ──────────────────────────────────────▶
//!
//!  proof = HMAC-SHA256(secret, role | nonce of the listener | nonce of the connector)
//! ```
//!
//! The connector goes first, so a listener tells a stranger nothing but a random number. Both nonces
//! come from the operating system and go into both proofs, so what was recorded once proves nothing
//! again; the role does as well, so a proof cannot be handed back to the one who gave it.
//!
//! What this does not do: it neither encrypts nor protects what follows. Whoever can change the
//! traffic between two nodes can wait for the handshake and take over the connection.
//!
//! # Invariants
//!
//! - No byte of a frame is read or sent before both proofs are right.
//! - A handshake reads at most 68 bytes and takes at most [`TIMEOUT`].
//!
//! # Sources
//!
//! HMAC: RFC 2104. Mutual authentication with two nonces: ISO/IEC 9798-4, three-pass.

use std::{io, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{TryRng as _, rngs::SysRng};
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::Secret;

/// Longest time from the connection to the last proof.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// What each side says first. Read as the size of a frame it is too large, so a node without a
/// secret notices.
pub(super) const MAGIC: [u8; 4] = *b"FMa1";

/// Bytes of a nonce.
const NONCE_SIZE: usize = 32;
/// Bytes of a proof.
const PROOF_SIZE: usize = 32;

type Nonce = [u8; NONCE_SIZE];
type Proof = [u8; PROOF_SIZE];

/// Who proves. It goes into the proof, also in place of a version.
#[derive(Clone, Copy)]
enum Role {
    Listener,
    Connector,
}

/// Proves to who connected that we know `secret`, once they have proved it to us.
///
/// # Errors
///
/// When the peer does not know the secret, says something else, or takes too long.
pub(super) async fn admit(mut stream: TcpStream, secret: &Secret) -> io::Result<TcpStream> {
    bounded(async {
        let ours = nonce()?;
        stream.write_all(&[&MAGIC[..], &ours].concat()).await?;
        expect_magic(&mut stream).await?;
        let theirs: Nonce = read(&mut stream).await?;
        let proof: Proof = read(&mut stream).await?;
        if !is_proof(&proof, secret, Role::Connector, (&ours, &theirs)) {
            return Err(refused("the peer has another secret"));
        }
        let proof = prove(secret, Role::Listener, (&ours, &theirs));
        stream.write_all(&proof).await?;
        Ok(stream)
    })
    .await
}

/// Proves to who listens that we know `secret`, and hears their proof.
///
/// # Errors
///
/// When the peer does not know the secret, says something else, or takes too long.
pub(super) async fn ask_in(mut stream: TcpStream, secret: &Secret) -> io::Result<TcpStream> {
    bounded(async {
        expect_magic(&mut stream).await?;
        let theirs: Nonce = read(&mut stream).await?;
        let ours = nonce()?;
        let proof = prove(secret, Role::Connector, (&theirs, &ours));
        stream.write_all(&[&MAGIC[..], &ours, &proof].concat()).await?;
        let answer: io::Result<Proof> = read(&mut stream).await;
        let proof = answer.map_err(|_| refused("the peer has another secret, and hung up"))?;
        if is_proof(&proof, secret, Role::Listener, (&theirs, &ours)) {
            Ok(stream)
        } else {
            Err(refused("the peer has another secret"))
        }
    })
    .await
}

async fn bounded<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(TIMEOUT, handshake).await.unwrap_or_else(|_| {
        Err(refused("the peer has not proved itself in time; it may have no secret"))
    })
}

async fn expect_magic(stream: &mut TcpStream) -> io::Result<()> {
    let magic: [u8; MAGIC.len()] = read(stream).await?;
    if magic == MAGIC {
        Ok(())
    } else {
        Err(refused("the peer does not prove itself; it has no secret, or is none of us"))
    }
}

async fn read<const SIZE: usize>(stream: &mut TcpStream) -> io::Result<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    match stream.read_exact(&mut bytes).await {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(refused("the peer hung up before it had proved itself"))
        }
        Err(error) => Err(error),
    }
}

fn nonce() -> io::Result<Nonce> {
    let mut nonce = [0; NONCE_SIZE];
    SysRng.try_fill_bytes(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

/// Returns the code over the role and both nonces, that of the listener first.
fn code(secret: &Secret, role: Role, (listener, connector): (&Nonce, &Nonce)) -> Hmac<Sha256> {
    let mut code =
        Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("a key of any length will do");
    code.update(match role {
        Role::Listener => b"floodmark 1 listener ",
        Role::Connector => b"floodmark 1 connector",
    });
    code.update(listener);
    code.update(connector);
    code
}

fn prove(secret: &Secret, role: Role, nonces: (&Nonce, &Nonce)) -> Proof {
    code(secret, role, nonces).finalize().into_bytes().into()
}

/// Compares in a time that does not tell how much of the proof is right.
fn is_proof(proof: &Proof, secret: &Secret, role: Role, nonces: (&Nonce, &Nonce)) -> bool {
    code(secret, role, nonces).verify_slice(proof).is_ok()
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests;
