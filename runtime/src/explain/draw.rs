//! An explanation as a picture, for Graphviz and for Mermaid.

use std::fmt::Write as _;

use super::{
    Chain, Explanation,
    text::{exchange_name, facts},
};
use crate::plan::{Part, PartInput, Role};

impl Explanation {
    /// Returns the job as a graph in the language of Graphviz: a cluster per vertex, a node per
    /// operator, and the guarantees at the sinks.
    ///
    /// # Examples
    ///
    /// `dot -Tsvg` makes a picture of it:
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// env.from_vec("numbers", vec![1, 2, 3]).print();
    /// assert!(env.explain("numbers")?.to_dot().contains("\"print"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = format!("digraph {} {{\n", dot_text(std::slice::from_ref(&self.job)));
        dot.push_str("  rankdir=LR;\n  node [shape=box];\n");
        for (index, chain) in self.vertices.iter().enumerate() {
            let title = dot_text(&[self.title(index, chain)]);
            let _ = writeln!(dot, "  subgraph cluster_{index} {{\n    label={title};");
            for (part, _) in &chain.parts {
                let shape = match self.parts[*part].role {
                    Role::Source { .. } => ", shape=cds",
                    Role::Step { .. } => "",
                    Role::Sink { .. } => ", shape=cylinder",
                };
                let label = dot_text(&self.lines(*part));
                let _ = writeln!(dot, "    operator_{part} [label={label}{shape}];");
            }
            dot.push_str("  }\n");
        }
        for (to, input) in self.inputs() {
            let from = input.from;
            let label = match arrow(input) {
                words if words.is_empty() => String::new(),
                words => format!(" [label={}]", dot_text(&[words])),
            };
            let _ = writeln!(dot, "  operator_{from} -> operator_{to}{label};");
        }
        dot.push_str("}\n");
        dot
    }

    /// Returns the job as a flowchart in the language of Mermaid, which many pages with Markdown show as
    /// a picture: a box per vertex, a node per operator, and the guarantees at the sinks.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// env.from_vec("numbers", vec![1, 2, 3]).print();
    /// assert!(env.explain("numbers")?.to_mermaid().contains("\"print"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_mermaid(&self) -> String {
        let mut chart = "flowchart LR\n".to_owned();
        for (index, chain) in self.vertices.iter().enumerate() {
            let title = mermaid_text(&[self.title(index, chain)]);
            let _ = writeln!(chart, "  subgraph vertex_{index}[{title}]");
            for (part, _) in &chain.parts {
                let (open, close) = match self.parts[*part].role {
                    Role::Source { .. } => ("([", "])"),
                    Role::Step { .. } => ("[", "]"),
                    Role::Sink { .. } => ("[(", ")]"),
                };
                let label = mermaid_text(&self.lines(*part));
                let _ = writeln!(chart, "    operator_{part}{open}{label}{close}");
            }
            chart.push_str("  end\n");
        }
        for (to, input) in self.inputs() {
            let from = input.from;
            let label = match arrow(input) {
                words if words.is_empty() => String::new(),
                words => format!("|{}|", mermaid_text(&[words])),
            };
            let _ = writeln!(chart, "  operator_{from} -->{label} operator_{to}");
        }
        chart
    }

    fn title(&self, index: usize, chain: &Chain) -> String {
        format!("vertex {index}, {}", chain.subtasks())
    }

    /// Returns what is written on an operator, line by line.
    fn lines(&self, index: usize) -> Vec<String> {
        let part: &Part = &self.parts[index];
        let mut lines = vec![part.name.clone()];
        lines.extend(facts(part));
        if let Role::Sink { .. } = part.role {
            let paths = self.paths.iter().filter(|path| path.sink_part == index);
            lines.extend(
                paths.map(|path| format!("from {:?}: {}", path.source(), path.guarantee())),
            );
        }
        lines
    }

    /// Returns the inputs of all operators, with the operator they go into.
    fn inputs(&self) -> impl Iterator<Item = (usize, &PartInput)> {
        let parts = self.parts.iter().enumerate();
        parts.flat_map(|(index, part)| part.inputs.iter().map(move |input| (index, input)))
    }
}

/// Returns what is written on the arrow between two operators.
fn arrow(PartInput { side, exchange, is_second, .. }: &PartInput) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(side.map(|side| format!("side output {side:?}")));
    words.extend(exchange.map(|exchange| exchange_name(exchange).to_owned()));
    if *is_second {
        words.push("second input".to_owned());
    }
    words.join(", ")
}

/// Returns lines as one text in the language of Graphviz.
fn dot_text(lines: &[String]) -> String {
    let escape =
        |line: &String| line.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let lines: Vec<String> = lines.iter().map(escape).collect();
    format!("\"{}\"", lines.join("\\n"))
}

/// Returns lines as one text in the language of Mermaid, where letters that mean something are written
/// as their numbers.
fn mermaid_text(lines: &[String]) -> String {
    let escape = |line: &String| {
        let mut escaped = String::new();
        for letter in line.chars() {
            match letter {
                '\n' => escaped.push(' '),
                '"' | '#' | '<' | '>' | '&' | '`' | '\\' => {
                    let _ = write!(escaped, "#{};", u32::from(letter));
                }
                plain => escaped.push(plain),
            }
        }
        escaped
    };
    let lines: Vec<String> = lines.iter().map(escape).collect();
    format!("\"{}\"", lines.join("<br>"))
}
