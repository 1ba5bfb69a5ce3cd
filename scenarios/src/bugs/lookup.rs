//! Finding an entry of the catalogue of bugs, and what it takes to hunt it.

#[cfg(feature = "planted-bugs")]
use super::{ALL, Switch};
use super::{
    Bug,
    BugState::{BrokenJob, Due, Planted, Waiting},
};
use crate::{Scenario, catalog};

impl Bug {
    /// Returns the scenarios that expose it: none as long as it is not planted.
    ///
    /// # Panics
    ///
    /// When the entry names a scenario that does not exist.
    pub fn scenarios(&self) -> Vec<&'static Scenario> {
        let names = match &self.state {
            Planted { scenarios, .. } => scenarios,
            BrokenJob { scenario, .. } => std::slice::from_ref(scenario),
            Due | Waiting { .. } => &[],
        };
        let find = |name: &&str| catalog::find(name).expect("entries name scenarios that exist");
        names.iter().map(find).collect()
    }

    /// Returns why it cannot be switched on, if it cannot.
    pub fn reason_to_wait(&self) -> Option<String> {
        match self.state {
            Planted { .. } | BrokenJob { .. } => None,
            Due => Some("is not planted yet".to_owned()),
            Waiting { for_what } => Some(format!("waits for {for_what}")),
        }
    }
}

#[cfg(feature = "planted-bugs")]
impl Bug {
    /// Returns its switch, if it can be planted.
    pub fn switch(&self) -> Option<Switch> {
        match self.state {
            Planted { bug, .. } => Some(bug),
            BrokenJob { .. } | Due | Waiting { .. } => None,
        }
    }

    /// Returns its name, if it can be hunted: that of its switch, if it has one.
    pub fn name(&self) -> Option<String> {
        match self.state {
            Planted { bug, .. } => Some(format!("{bug:?}")),
            BrokenJob { name, .. } => Some(name.to_owned()),
            Due | Waiting { .. } => None,
        }
    }

    /// Returns the bug with an id or a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|bug| bug.id == name || bug.name().is_some_and(|its| its == name))
    }

    /// Returns the scenario that is green without the bug and fails with it, as `exposing` does.
    ///
    /// # Panics
    ///
    /// When `exposing` or the entry names a scenario that does not exist.
    pub fn right_scenario(&self, exposing: &str) -> &'static Scenario {
        let name = match self.state {
            BrokenJob { right, .. } => right,
            Planted { .. } | Due | Waiting { .. } => exposing,
        };
        catalog::find(name).expect("entries name scenarios that exist")
    }

    /// Returns the checks that may find it, the expected one first.
    pub fn checks(&self) -> &'static [&'static str] {
        match self.state {
            Planted { checks, .. } | BrokenJob { checks, .. } => checks,
            Due | Waiting { .. } => &[],
        }
    }
}
