//! What the switch of a planted bug is in this build.

#[cfg(feature = "planted-bugs")]
pub(crate) use floodmark::platform::PlantedBug as Switch;

/// In an ordinary build no bug has a name, let alone a place.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) type Switch = ();

#[cfg(feature = "planted-bugs")]
macro_rules! bug {
    ($name:ident) => {
        Switch::$name
    };
}

#[cfg(not(feature = "planted-bugs"))]
macro_rules! bug {
    ($name:ident) => {
        ()
    };
}
