//! Questions about speed, with answers.
