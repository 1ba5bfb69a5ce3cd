//! What leaves the queue when, step by step.

use super::*;

/// What happens to the queue.
#[derive(Clone, Copy)]
enum Do {
    /// A record comes; its value is its place.
    Record,
    /// A watermark comes.
    Watermark(i64),
    /// The result of the record at this place is there.
    Done(u64),
}

use Do::{Done, Record, Watermark};

type Queue = RequestQueue<u64, u64>;

fn taken(value: u64) -> Taken<u64> {
    let timestamp = Timestamp(i64::try_from(value).unwrap());
    Taken { timestamp, split: None, value }
}

/// Issues all that may be issued, and returns the places.
fn issued(queue: &mut Queue) -> Vec<u64> {
    std::iter::from_fn(|| queue.issue().map(|(place, _)| place)).collect()
}

fn popped(queue: &mut Queue) -> Vec<String> {
    let next = std::iter::from_fn(|| {
        assert_eq!(queue.is_ready(), queue.ready().is_some());
        queue.pop()
    });
    next.map(|next| match next {
        Next::Result { timestamp, output, .. } => {
            assert_eq!(
                timestamp.0,
                i64::try_from(output).unwrap(),
                "a result has its record's time"
            );
            output.to_string()
        }
        Next::Mark(Mark::Watermark(watermark)) => format!("w{watermark}"),
        Next::Mark(mark) => format!("{mark:?}"),
    })
    .collect()
}

/// Compares what leaves the queue after each step, without the steps after which nothing does.
#[track_caller]
fn check(order: ResultOrder, script: &[Do], want: &[&str]) {
    let mut queue = Queue::new(order, 100);
    let mut got = Vec::new();
    for step in script {
        match *step {
            Record => {
                let place = queue.next;
                queue.push(taken(place));
            }
            Watermark(at) => queue.push_mark(Mark::Watermark(Timestamp(at))),
            Done(place) => queue.on_done(place, place),
        }
        issued(&mut queue);
        let popped = popped(&mut queue);
        if !popped.is_empty() {
            got.push(popped.join(" "));
        }
    }
    assert_eq!(got, want);
    assert!(queue.is_empty(), "every record has left");
    assert_eq!(queue.load(), Load::None);
}

#[test]
fn ordered_results_leave_in_the_order_of_their_records() {
    let script = [Record, Record, Watermark(5), Record, Done(1), Done(3), Done(0)];
    check(ResultOrder::Ordered, &script, &["0 1 w5 3"]);
}

#[test]
fn unordered_results_overtake_each_other_and_no_watermark() {
    let script = [Record, Record, Watermark(5), Record, Record, Done(4), Done(1), Done(0), Done(3)];
    check(ResultOrder::Unordered, &script, &["1", "0 w5 4", "3"]);
}

#[test]
fn a_watermark_waits_for_the_records_before_it_only() {
    for order in [ResultOrder::Ordered, ResultOrder::Unordered] {
        let script = [Watermark(1), Record, Watermark(2), Record, Done(1), Watermark(9), Done(3)];
        check(order, &script, &["w1", "1 w2", "3 w9"]);
    }
}

#[test]
fn no_more_requests_are_under_way_than_the_capacity_says() {
    let mut queue = Queue::new(ResultOrder::Unordered, 2);
    (0..5).for_each(|value| queue.push(taken(value)));
    assert_eq!(queue.load(), Load::Full);
    assert_eq!(issued(&mut queue), [0, 1]);
    queue.on_done(1, 1);
    assert_eq!(issued(&mut queue), [2]);
    queue.on_done(0, 0);
    queue.on_done(2, 2);
    assert_eq!(issued(&mut queue), [3, 4]);
    assert_eq!(popped(&mut queue), ["0", "1", "2"]);
    assert_eq!(queue.load(), Load::Full);
    queue.on_done(4, 4);
    assert_eq!(popped(&mut queue), ["4"]);
    assert_eq!(queue.load(), Load::Some);
}

#[test]
fn a_record_is_state_until_its_result_has_left() {
    let mut queue = Queue::new(ResultOrder::Ordered, 2);
    queue.push(taken(0));
    queue.push_mark(Mark::Idle);
    queue.push(taken(2));
    queue.push_mark(Mark::SplitEnded(1));
    let (idle, ended) = (Queued::Mark(Mark::Idle), Queued::Mark(Mark::SplitEnded(1)));
    let all = [Queued::Record(taken(0)), idle, Queued::Record(taken(2)), ended.clone()];
    assert_eq!(queue.queued(), all);
    issued(&mut queue);
    queue.on_done(2, 2);
    assert_eq!(queue.queued(), all, "a result that waits is asked for again");
    queue.on_done(0, 0);
    queue.pop();
    queue.pop();
    assert_eq!(queue.queued(), [Queued::Record(taken(2)), ended]);
}

#[test]
fn marks_alone_are_a_load_when_they_are_many() {
    let mut queue = Queue::new(ResultOrder::Ordered, 100);
    queue.push(taken(0));
    (0..MARK_COUNT_MAX).for_each(|_| queue.push_mark(Mark::Idle));
    assert_eq!(queue.load(), Load::Full);
}
