//! Where records come from and where they go.

mod collected;
mod csv;
mod file_sink;
mod generator;
mod hybrid;
mod pace;
mod print;
mod text_file;
mod vec_source;

pub use collected::Collected;
pub use csv::{Malformed, MalformedLine};
pub use file_sink::FileSink;
pub use generator::Generator;
pub use hybrid::HybridSource;
pub(crate) use print::Print;
pub use text_file::{Line, TextFile};
pub use vec_source::VecSource;
