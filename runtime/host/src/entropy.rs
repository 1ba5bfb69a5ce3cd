//! Free choices, made by the operating system's randomness.

use floodmark_platform::Entropy;

use crate::machine::Host;

impl Entropy for Host {
    /// Ignores who asks: on a real machine no two choices are related.
    fn choose(&self, _site: &'static str, _actor: u64) -> u64 {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use crate::machine::tests::machine_in;

    #[tokio::test]
    async fn choices_differ() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let first = machine.entropy().choose("site", 0);
        assert_ne!(first, machine.entropy().choose("site", 0));
    }
}
