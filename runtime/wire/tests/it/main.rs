//! The formats of the crate as others see them.

mod golden;
