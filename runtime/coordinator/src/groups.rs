//! How far the sources of each group have come in the running attempt.

use std::collections::BTreeMap;

use floodmark_model::{SubtaskId, Timestamp};

/// The least promise of each source subtask, by group; none if nobody has to wait for it.
#[derive(Debug, Default)]
pub(crate) struct SourceGroups(BTreeMap<String, BTreeMap<SubtaskId, Option<Timestamp>>>);

impl SourceGroups {
    /// Takes the report of a subtask, and returns the least promise of its group. Reports may overtake
    /// each other: then the answer is one of a moment ago, and the next report puts that right.
    pub(crate) fn on_report(
        &mut self,
        group: &str,
        subtask: SubtaskId,
        watermark: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let members = self.0.entry(group.to_owned()).or_default();
        members.insert(subtask, watermark);
        members.values().flatten().min().copied()
    }

    /// Forgets all of it: another attempt begins.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::VertexId;

    use super::*;

    #[test]
    fn the_least_of_those_who_count_is_announced_to_their_group() {
        let mut groups = SourceGroups::default();
        let subtask = |index| SubtaskId { vertex: VertexId(0), index };
        let mut report = |group: &str, index, watermark: Option<i64>| {
            groups.on_report(group, subtask(index), watermark.map(Timestamp)).map(|least| least.0)
        };
        assert_eq!(report("a", 0, Some(7)), Some(7));
        assert_eq!(report("b", 2, Some(1)), Some(1));
        assert_eq!(report("a", 1, Some(3)), Some(3));
        assert_eq!(report("a", 1, None), Some(7));
        assert_eq!(report("a", 0, None), None);
        assert_eq!(report("a", 1, Some(2)), Some(2));
    }
}
