//! Questions about speed, with answers. Each benchmark file begins with its question.
