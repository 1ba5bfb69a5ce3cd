//! The windows of one key.

use serde::{Deserialize, Serialize};

use crate::operators::Window;

/// One window of one key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pane<C, S> {
    pub(super) window: Window,
    /// Absent before the first record and after a purge.
    pub(super) contents: Option<C>,
    /// What the trigger remembers.
    pub(super) trigger: S,
}

/// The windows of one key, by start; there are few.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Panes<C, S>(Vec<Pane<C, S>>);

impl<C, S: Default> Panes<C, S> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a window, if it is open.
    pub(super) fn find(&mut self, window: Window) -> Option<&mut Pane<C, S>> {
        let position = self.0.binary_search_by_key(&window, |pane| pane.window).ok()?;
        Some(&mut self.0[position])
    }

    /// Returns a window, which is opened if it is not open, and whether it was not.
    pub(super) fn open(&mut self, window: Window) -> (&mut Pane<C, S>, bool) {
        // Most records are for the newest window.
        let position = match self.0.last() {
            Some(last) if last.window == window => Ok(self.0.len() - 1),
            Some(last) if last.window < window => Err(self.0.len()),
            Some(_) | None => self.0.binary_search_by_key(&window, |pane| pane.window),
        };
        match position {
            Ok(position) => (&mut self.0[position], false),
            Err(position) => {
                let pane = Pane { window, contents: None, trigger: S::default() };
                self.0.insert(position, pane);
                (&mut self.0[position], true)
            }
        }
    }

    pub(super) fn remove(&mut self, window: Window) {
        if let Ok(position) = self.0.binary_search_by_key(&window, |pane| pane.window) {
            self.0.remove(position);
        }
    }

    /// Returns the window that `window` and all those become that overlap or touch it.
    pub(super) fn hull(&self, window: Window) -> Window {
        self.0
            .iter()
            .filter(|pane| pane.window.touches(window))
            .fold(window, |hull, pane| hull.hull(pane.window))
    }

    /// Removes and returns the windows within `hull`, the earliest first.
    pub(super) fn take_within(&mut self, hull: Window) -> Vec<Pane<C, S>> {
        self.0.extract_if(.., |pane| pane.window.touches(hull)).collect()
    }
}
