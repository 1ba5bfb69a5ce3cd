//! The network: connections between nodes, and what becomes of their frames.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use floodmark_platform::{
    Address, BoxFuture, Connection, Frame, FrameReceiver, FrameSender, Listener,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    FrameFate, FrameId, Incident, NodeId, What,
    choice::{actor_named, actor_of},
    link::{Arrival, CLOSE, Item, Link},
    node::{Condition, Life, Node, is_alive},
    rule::{FaultName, FrameView},
    timer::Timer,
    world::{Shared, State},
};

/// The longest time by which a reordered frame is late.
const OVERTAKEN_MAX: Duration = Duration::from_millis(600);

/// Time after which a connection attempt to a silent node is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames that a sender holds back at most until it is flushed. A real one counts bytes.
const STAGED_COUNT_MAX: usize = 64;

/// How long frames take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkProfile {
    /// The shortest time from one node to another.
    pub latency_min: Duration,
    /// The longest, for nine frames in ten.
    pub latency_max: Duration,
    /// How much longer the tenth may take.
    pub jitter: Duration,
}

impl Default for LinkProfile {
    fn default() -> Self {
        Self {
            latency_min: Duration::from_micros(200),
            latency_max: Duration::from_millis(2),
            jitter: Duration::from_millis(10),
        }
    }
}

/// All connections of a run.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) links: BTreeMap<u64, Link>,
    next_link: u64,
    /// Connections that were opened between two nodes; names links in choices.
    pair_counts: BTreeMap<(NodeId, NodeId), u64>,
    listeners: BTreeMap<(NodeId, u16), Backlog>,
}

struct Backlog {
    life: Life,
    waiting: VecDeque<(u64, u64)>,
    waker: Option<Waker>,
}

impl State {
    fn latency(&mut self, site: &'static str, actor: u64) -> Duration {
        self.profile.latency(self.choices.choose_or_zero(site, actor))
    }

    fn send(&mut self, index: u64, now: Duration, frame: Frame) {
        let Some(link) = self.network.links.get_mut(&index) else { return };
        let (actor, from, to) = (link.actor, link.from, link.to);
        if !is_alive(&self.nodes, from) {
            return;
        }
        let Frame { kind, payload } = frame;
        let number = link.sent_count();
        let of_kind = (actor_named(actor, kind.0), link.count(kind.0));
        let choice = self.choices.choose_number("frame_latency", of_kind.0, of_kind.1);
        let latency = self.profile.latency(choice);
        let mut at = now + latency;
        let mut fate = FrameFate::Deliver;
        let mut is_held = false;
        if !self.rules.is_empty() {
            let view = FrameView {
                actor: of_kind.0,
                number: of_kind.1,
                ..view(&self.nodes, link, kind.0)
            };
            fate = self.rules.fate_of(view, &mut self.choices);
            at += self.rules.delay_of(view);
            is_held = self.rules.is_held(view);
        }
        self.trace.add(kind.0, now, &[actor, xxh3_64(&payload), fate as u64]);
        if fate != FrameFate::Deliver {
            self.struck_count += 1;
            let (sender, to) = (self.name(from.node), self.name(to.node));
            self.log(now, from.node, || format!("{kind:?} to {to}: {fate:?}"));
            self.incidents.add(Incident::FrameStruck { from: sender, to, kind: kind.0, fate });
        } else if is_held {
            let (from, to) = (self.name(from.node), self.name(to.node));
            self.incidents.add(Incident::FrameHeld { from, to, kind: kind.0 });
        }
        if self.records_frame(kind.0, fate) {
            let (frame, to) = (FrameId { link: actor, number }, self.name(to.node));
            self.record(now, from.node, || What::Sent { frame, kind: kind.0, to, fate });
        }
        // Long enough to arrive after a failover, now and then.
        let overtaken = match fate {
            FrameFate::Reorder => {
                let choice = self.choices.choose_number("overtaken", of_kind.0, of_kind.1);
                choice % nanos(OVERTAKEN_MAX)
            }
            FrameFate::Deliver | FrameFate::Lose | FrameFate::Duplicate => 0,
        };
        let link = self.network.links.get_mut(&index).expect("the link was just seen");
        match fate {
            FrameFate::Lose => link.lose(),
            FrameFate::Deliver => link.send_in_order(at, Item::Frame(kind.0, payload)),
            FrameFate::Duplicate => {
                link.send_in_order(at, Item::Frame(kind.0, payload.clone()));
                link.send_in_order(at, Item::Frame(kind.0, payload));
            }
            // Those that follow are not held up, so they overtake.
            FrameFate::Reorder => {
                let at = at + latency + Duration::from_nanos(overtaken);
                link.send_at(at, Item::Frame(kind.0, payload));
            }
        }
    }

    /// Opens a connection and returns the links there and back.
    fn open(&mut self, from: Life, to: Life) -> (u64, u64) {
        let count = self.network.pair_counts.entry((from.node, to.node)).or_default();
        *count += 1;
        let pair = (from.node.0 as u64) << 48 | (to.node.0 as u64) << 32 | *count << 1;
        let there = self.network.next_link;
        self.network.next_link += 2;
        self.network.links.insert(there, Link::new(pair, from, to));
        self.network.links.insert(there + 1, Link::new(pair | 1, to, from));
        (there, there + 1)
    }

    /// Decides whether the peers of a node that died hear of it, or only its silence.
    pub(crate) fn is_silent_death(&mut self, node: NodeId, cause: FaultName) -> bool {
        let actor = actor_of([cause.0, node.0 as u64]);
        // Plainly, they hear.
        self.choices.below("crash_is_silent", actor, 4) == 3
    }

    /// Tells the peers of a life that it is over. Returns which senders have to be woken, and when.
    #[must_use]
    pub(crate) fn break_links_of(&mut self, life: Life, now: Duration) -> Vec<(u64, Duration)> {
        let mut refused = Vec::new();
        for index in self.links_of(life) {
            let actor = self.network.links[&index].actor;
            let at = now + self.latency("close_latency", actor);
            let link = self.network.links.get_mut(&index).expect("the link was just seen");
            if link.from == life {
                link.send_in_order(at, Item::Reset);
            } else {
                link.refuse(at);
                refused.push((index, at));
            }
        }
        refused
    }

    fn links_of(&self, life: Life) -> Vec<u64> {
        let links = self.network.links.iter();
        links
            .filter(|(_, link)| link.from == life || link.to == life)
            .map(|(index, _)| *index)
            .collect()
    }

    /// Closes the receiving end of a link, and returns when its sender has to be woken.
    fn close_receiver(&mut self, index: u64, now: Duration) -> Option<Duration> {
        let actor = self.network.links.get(&index)?.actor;
        let at = now + self.latency("close_latency", actor);
        let link = self.network.links.get_mut(&index)?;
        link.drop_receiver();
        link.refuse(at);
        self.collect(index);
        self.network.links.contains_key(&index).then_some(at)
    }

    fn collect(&mut self, index: u64) {
        if self.network.links.get(&index).is_some_and(Link::is_abandoned) {
            self.network.links.remove(&index);
        }
    }
}

/// One half of a connection.
struct SenderHalf {
    shared: Shared,
    link: u64,
    /// What was started and not flushed. Lost with the sender, and with its node.
    staged: Vec<Frame>,
}

struct ReceiverHalf {
    shared: Shared,
    link: u64,
    /// Wakes it for the next arrival.
    timer: Timer,
}

pub(crate) fn halves(shared: &Shared, (out, back): (u64, u64)) -> Connection {
    Connection {
        sender: Box::new(SenderHalf { shared: shared.clone(), link: out, staged: Vec::new() }),
        receiver: Box::new(ReceiverHalf {
            shared: shared.clone(),
            link: back,
            timer: Timer::default(),
        }),
    }
}

impl SenderHalf {
    /// Hands what was started to the link.
    fn flush(&mut self) {
        let now = self.shared.now();
        for frame in self.staged.drain(..) {
            self.shared.lock().send(self.link, now, frame);
            self.shared.check_budget();
        }
    }
}

impl FrameSender for SenderHalf {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if STAGED_COUNT_MAX <= self.staged.len() {
            self.flush();
        }
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let State { network, nodes, rules, .. } = &mut *state;
        let Some(link) = network.links.get_mut(&self.link) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        // The news comes from the receiver, so it travels the other way.
        let back = view(nodes, link, CLOSE).back();
        link.poll_room(now, || rules.is_held(back), cx)
    }

    fn start_send(&mut self, frame: Frame) -> io::Result<()> {
        assert!(self.staged.len() < STAGED_COUNT_MAX, "a frame is started after `poll_ready`");
        self.staged.push(frame);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush();
        Poll::Ready(Ok(()))
    }
}

impl Drop for SenderHalf {
    fn drop(&mut self) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let Some(link) = state.network.links.get_mut(&self.link) else { return };
        let (actor, from) = (link.actor, link.from);
        if link.drop_sender() && state.is_alive(from) {
            let latency = state.latency("end_latency", actor);
            if let Some(link) = state.network.links.get_mut(&self.link) {
                link.send_in_order(now + latency, Item::End);
            }
        }
        state.collect(self.link);
    }
}

impl FrameReceiver for ReceiverHalf {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let now = self.shared.now();
        let broken = || Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        let at = {
            let mut state = self.shared.lock();
            let state = &mut *state;
            let Some(link) = state.network.links.get_mut(&self.link) else { return broken() };
            let rules = &state.rules;
            let frame = view(&state.nodes, link, CLOSE);
            let actor = frame.actor;
            let is_held = |kind| !rules.is_empty() && rules.is_held(FrameView { kind, ..frame });
            match link.receive(now, is_held) {
                Arrival::Frame(kind, number, payload) => {
                    let (from, to) = (link.from.node, link.to.node);
                    state.trace.add("arrival", now, &[actor, payload.len() as u64]);
                    if state.records_frame(kind, FrameFate::Deliver) {
                        let (frame, from) = (FrameId { link: actor, number }, state.name(from));
                        state.record(now, to, || What::Arrived { frame, kind, from });
                    }
                    return Poll::Ready(Some(Ok(payload)));
                }
                Arrival::End => return Poll::Ready(None),
                Arrival::Broken => return broken(),
                Arrival::At(at) => {
                    link.wait(cx);
                    at
                }
                Arrival::None => {
                    link.wait(cx);
                    return Poll::Pending;
                }
            }
        };
        let Self { shared, timer, .. } = self;
        timer.arm(shared, at, cx);
        Poll::Pending
    }
}

impl Drop for ReceiverHalf {
    fn drop(&mut self) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        let Some(link) = state.network.links.get(&self.link) else { return };
        let to = link.to;
        // What a dead node's destructors do, nobody sees.
        if !state.is_alive(to) {
            if let Some(link) = state.network.links.get_mut(&self.link) {
                link.drop_receiver();
            }
            return state.collect(self.link);
        }
        let refused_at = state.close_receiver(self.link, now);
        drop(state);
        if let Some(at) = refused_at {
            self.shared.wake_links_at(vec![(self.link, at)]);
        }
    }
}

struct SimListener {
    shared: Shared,
    life: Life,
    port: u16,
    address: Address,
}

impl Listener for SimListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        let mut state = self.shared.lock();
        let Some(backlog) = state.network.listeners.get_mut(&(self.life.node, self.port)) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        match backlog.waiting.pop_front() {
            Some((there, back)) => Poll::Ready(Ok(halves(&self.shared, (back, there)))),
            None => {
                backlog.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let key = (self.life.node, self.port);
        if state.network.listeners.get(&key).is_none_or(|backlog| backlog.life != self.life) {
            return;
        }
        let backlog = state.network.listeners.remove(&key);
        if !state.is_alive(self.life) {
            return;
        }
        // Those who wait to be accepted would wait for ever.
        for (there, back) in backlog.into_iter().flat_map(|backlog| backlog.waiting) {
            for index in [there, back] {
                if let Some(link) = state.network.links.get_mut(&index) {
                    link.reset();
                }
            }
        }
    }
}

pub(crate) fn listen(
    shared: Shared,
    life: Life,
    port: u16,
) -> BoxFuture<io::Result<Box<dyn Listener>>> {
    Box::pin(async move {
        let mut state = shared.lock();
        let is_free = |port: &u16| match state.network.listeners.get(&(life.node, *port)) {
            Some(backlog) => backlog.life != life,
            None => true,
        };
        let port = if port == 0 { (40_000..).find(is_free) } else { Some(port).filter(is_free) };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        let backlog = Backlog { life, waiting: VecDeque::new(), waker: None };
        state.network.listeners.insert((life.node, port), backlog);
        let address = Address(format!("{}:{port}", state.name(life.node)));
        drop(state);
        Ok(Box::new(SimListener { shared, life, port, address }) as Box<dyn Listener>)
    })
}

pub(crate) fn connect(
    shared: Shared,
    from: Life,
    to: &Address,
) -> BoxFuture<io::Result<Connection>> {
    let to = to.clone();
    Box::pin(async move {
        let (name, port) = to.0.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let port: u16 = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let actor = actor_named((from.node.0 as u64) << 32 | u64::from(port), name);
        let latency = shared.lock().latency("connect_latency", actor);
        shared.sleep_until(shared.now() + latency).await;
        let answer = {
            let mut state = shared.lock();
            let node = state.find(name).ok_or(io::ErrorKind::NotFound)?;
            let is_silent = state.nodes[node.0].condition == Condition::Dead
                || state.rules.is_cut(from.node, node);
            if is_silent { None } else { Some(state.accept(from, node, port)) }
        };
        match answer {
            Some(Ok(links)) => {
                let latency = shared.lock().latency("connect_latency", actor);
                // Owned from here on, so that a caller who gives up closes it.
                let connection = halves(&shared, links);
                shared.sleep_until(shared.now() + latency).await;
                Ok(connection)
            }
            Some(Err(kind)) => Err(kind.into()),
            None => {
                shared.sleep_until(shared.now() + CONNECT_TIMEOUT).await;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    })
}

impl State {
    fn accept(&mut self, from: Life, node: NodeId, port: u16) -> Result<(u64, u64), io::ErrorKind> {
        let incarnation = self.nodes[node.0].incarnation;
        let to = Life { node, incarnation };
        let listens = self.network.listeners.get(&(node, port));
        if listens.is_none_or(|backlog| backlog.life != to) {
            return Err(io::ErrorKind::ConnectionRefused);
        }
        let links = self.open(from, to);
        let backlog = self.network.listeners.get_mut(&(node, port));
        let backlog = backlog.expect("the listener was just seen");
        backlog.waiting.push_back(links);
        if let Some(waker) = backlog.waker.take() {
            waker.wake();
        }
        Ok(links)
    }
}

impl LinkProfile {
    /// Returns the latency that a choice stands for.
    fn latency(&self, choice: u64) -> Duration {
        let span = nanos(self.latency_max.saturating_sub(self.latency_min)).max(1);
        let base = self.latency_min + Duration::from_nanos(choice % span);
        if (choice >> 48).is_multiple_of(10) {
            base + Duration::from_nanos((choice >> 20) % nanos(self.jitter).max(1))
        } else {
            base
        }
    }
}

/// Returns a frame of `kind` on a link as rules see it.
fn view<'a>(nodes: &'a [Node], link: &Link, kind: &'static str) -> FrameView<'a> {
    let end = |life: Life| (life.node, &*nodes[life.node.0].name);
    FrameView { from: end(link.from), to: end(link.to), kind, actor: link.actor, number: 0 }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
