//! Free choices.

/// Makes the choices that could go either way.
pub trait Entropy {
    /// Returns a number for the next choice that `actor` makes at `site`.
    ///
    /// A site is a constant in the code; an actor tells apart those who pass the site.
    ///
    /// # Determinism
    ///
    /// In simulation the answer is a function of the seed, the site, the actor and how often that
    /// actor passed that site before: choices elsewhere do not shift it.
    fn choose(&self, site: &'static str, actor: u64) -> u64;
}
