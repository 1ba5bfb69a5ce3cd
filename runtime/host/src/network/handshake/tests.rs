//! Who is let in, and who is not.

use std::future::Future;

use floodmark_platform::{Address, Connection, Frame, FrameKind, Machine};
use tokio::net::TcpListener;

use super::*;
use crate::{HostOptions, machine, machine::tests::options_in};

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::from_bytes(text.as_bytes()).unwrap())
}

fn ours() -> Option<Secret> {
    secret("the water is wide")
}

/// Creates a machine that keeps everything in `directory`.
fn node(directory: &tempfile::TempDir, secret: Option<Secret>) -> Machine {
    machine(HostOptions { secret, ..options_in(directory.path()) }).unwrap()
}

/// Returns what both ends see when a node with one secret connects to a node with another: the end
/// that connects, and the end that listens if it lets the other in within half the time it has.
async fn meet(
    listening: Option<Secret>,
    connecting: Option<Secret>,
) -> (io::Result<Connection>, Option<Connection>) {
    let directory = tempfile::tempdir().unwrap();
    let (listening, connecting) = (node(&directory, listening), node(&directory, connecting));
    let mut listener = listening.network().listen(0).await.unwrap();
    let address = listener.address();
    let admitted = listening.spawn("listener", async move { listener.accept().await });
    let connected = connecting.network().connect(&address).await;
    let admitted = listening.timeout(TIMEOUT / 2, admitted).await;
    (connected, admitted.map(|admitted| admitted.unwrap().unwrap()))
}

fn frame(text: &'static str) -> Frame {
    Frame { kind: FrameKind("test"), payload: text.into() }
}

/// Returns two connected streams, that of the listener first.
async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, connector)
}

/// Returns how a listener that knows our secret answers to who behaves like this.
async fn answer_to<F: Future<Output = ()>>(behaviour: impl FnOnce(TcpStream) -> F) -> String {
    let (listener, connector) = streams().await;
    let secret = ours().unwrap();
    let (answer, ()) = tokio::join!(admit(listener, &secret), behaviour(connector));
    answer.map_or_else(|error| error.to_string(), |_| "come in".to_owned())
}

/// Reads what a listener says first, and returns its nonce.
async fn hear_nonce(stream: &mut TcpStream) -> Nonce {
    expect_magic(stream).await.unwrap();
    read(stream).await.unwrap()
}

#[tokio::test]
async fn who_knows_the_secret_is_let_in_and_frames_follow() {
    let (connected, admitted) = meet(ours(), ours()).await;
    let (mut near, mut far) = (connected.unwrap(), admitted.unwrap());
    near.sender.send(frame("there")).await.unwrap();
    assert_eq!(far.receiver.receive().await.unwrap().unwrap(), "there");
    far.sender.send(frame("and back")).await.unwrap();
    assert_eq!(near.receiver.receive().await.unwrap().unwrap(), "and back");
}

#[tokio::test]
async fn who_knows_another_secret_is_refused_and_told() {
    let (connected, admitted) = meet(ours(), secret("the water is deep")).await;
    assert!(admitted.is_none());
    let refused = connected.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("the peer has another secret"), "{refused}");
}

#[tokio::test]
async fn who_has_no_secret_is_refused_and_told() {
    let (connected, admitted) = meet(ours(), None).await;
    assert!(admitted.is_none());
    let mut connected = connected.unwrap();
    let refused = connected.receiver.receive().await.unwrap().err().unwrap();
    assert!(refused.to_string().contains("demands a shared secret"), "{refused}");
}

#[tokio::test]
async fn who_says_nothing_is_given_up() {
    let answer = answer_to(|mut stream| async move {
        hear_nonce(&mut stream).await;
        // From here on time passes as soon as nothing else happens.
        tokio::time::pause();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert!(answer.await.contains("not proved itself in time"));
}

#[tokio::test]
async fn garbage_is_refused_before_more_than_a_few_bytes_are_read() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 1 << 16], b"FMtc", b"F"] {
        let answer = answer_to(|mut stream| async move {
            hear_nonce(&mut stream).await;
            // The other side may have hung up before it has all of it.
            let _ = stream.write_all(garbage).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let answer = answer.await;
        let is_refused = answer.contains("does not prove itself") || answer.contains("hung up");
        assert!(is_refused, "{answer}");
    }
}

#[tokio::test]
async fn a_wrong_proof_is_refused() {
    let answer = answer_to(|mut stream| async move {
        hear_nonce(&mut stream).await;
        let hello = [&MAGIC[..], &[1; NONCE_SIZE], &[2; PROOF_SIZE]].concat();
        stream.write_all(&hello).await.unwrap();
        let told: io::Result<Proof> = read(&mut stream).await;
        assert!(told.is_err(), "who is refused hears no proof");
    });
    assert_eq!(answer.await, "the peer has another secret");
}

#[tokio::test]
async fn what_was_recorded_proves_nothing_a_second_time() {
    let (recording, recorded) = tokio::sync::oneshot::channel();
    let first = answer_to(|mut stream| async move {
        let secret = ours().unwrap();
        let theirs = hear_nonce(&mut stream).await;
        let ours = nonce().unwrap();
        let proof = prove(&secret, Role::Connector, (&theirs, &ours));
        let hello = [&MAGIC[..], &ours, &proof].concat();
        stream.write_all(&hello).await.unwrap();
        recording.send(hello).unwrap();
    });
    assert_eq!(first.await, "come in");
    let hello = recorded.await.unwrap();
    let second = answer_to(|mut stream| async move {
        stream.write_all(&hello).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(second.await, "the peer has another secret");
}

#[tokio::test]
async fn a_listener_that_does_not_know_the_secret_is_refused() {
    let (mut listener, connector) = streams().await;
    let secret = ours().unwrap();
    let impostor = async {
        let hello = [&MAGIC[..], &[1; NONCE_SIZE]].concat();
        listener.write_all(&hello).await.unwrap();
        expect_magic(&mut listener).await.unwrap();
        let _: Nonce = read(&mut listener).await.unwrap();
        let proof: Proof = read(&mut listener).await.unwrap();
        // The proof of the one is not the proof of the other.
        listener.write_all(&proof).await.unwrap();
    };
    let (refused, ()) = tokio::join!(ask_in(connector, &secret), impostor);
    assert_eq!(refused.unwrap_err().to_string(), "the peer has another secret");
}

#[tokio::test]
async fn those_who_say_nothing_keep_nobody_else_out() {
    let directory = tempfile::tempdir().unwrap();
    let machine = node(&directory, ours());
    let mut listener = machine.network().listen(0).await.unwrap();
    let Address(address) = listener.address();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let admitted = machine.spawn("listener", async move { listener.accept().await });
    machine.network().connect(&Address(address)).await.unwrap();
    assert!(admitted.await.unwrap().is_ok());
}
