//! The expressions of `\set`: whole and floating-point numbers, variables, arithmetic, functions.
//!
//! Decides what an expression is, with pgbench's precedence and pgbench's names of functions. Comparisons, conditions and
//! the hash functions are refused by name.

/// Most numbers, variables, operators and functions of one expression: what evaluating it takes is bounded.
const MAX_NODES: usize = 256;
/// Most parentheses and signs within each other.
const MAX_DEPTH: usize = 32;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::load) enum Expression {
    Int(i64),
    Double(f64),
    /// The slot of a variable.
    Variable(usize),
    Call(Function, Vec<Expression>),
}

/// A function or an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Negate,
    Abs,
    Double,
    Exp,
    Greatest,
    Int,
    Least,
    Ln,
    Pi,
    Power,
    Sqrt,
    Random,
    RandomExponential,
    RandomGaussian,
    RandomZipfian,
}

/// A function, and how many arguments it takes, at least and at most.
fn function(name: &str) -> Option<(Function, usize, usize)> {
    Some(match name.to_ascii_lowercase().as_str() {
        "abs" => (Function::Abs, 1, 1),
        "double" => (Function::Double, 1, 1),
        "exp" => (Function::Exp, 1, 1),
        "greatest" => (Function::Greatest, 1, MAX_NODES),
        "int" => (Function::Int, 1, 1),
        "least" => (Function::Least, 1, MAX_NODES),
        "ln" => (Function::Ln, 1, 1),
        "mod" => (Function::Modulo, 2, 2),
        "pi" => (Function::Pi, 0, 0),
        "pow" | "power" => (Function::Power, 2, 2),
        "random" => (Function::Random, 2, 2),
        "random_exponential" => (Function::RandomExponential, 3, 3),
        "random_gaussian" => (Function::RandomGaussian, 3, 3),
        "random_zipfian" => (Function::RandomZipfian, 3, 3),
        "sqrt" => (Function::Sqrt, 1, 1),
        _ => return None,
    })
}

impl Expression {
    /// Understands `text`; `variable` gives the slot of a variable, or says why it has none.
    pub(super) fn parse(
        text: &str,
        variable: &mut dyn FnMut(&str) -> Result<usize, String>,
    ) -> Result<Self, String> {
        let mut parser = Parser { rest: text.trim(), variable, nodes: 0, depth: 0 };
        let expression = parser.sum()?;
        if parser.rest.is_empty() { Ok(expression) } else { Err(parser.unexpected()) }
    }

    /// Calls `each` with the slot of every variable in it.
    pub(in crate::load) fn variables(&self, each: &mut dyn FnMut(usize)) {
        match self {
            Self::Variable(slot) => each(*slot),
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.variables(each)),
            Self::Int(_) | Self::Double(_) => {}
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    variable: &'a mut dyn FnMut(&str) -> Result<usize, String>,
    nodes: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Expression, String> {
        let mut left = self.product()?;
        while let Some(function) = self.operator(&[('+', Function::Add), ('-', Function::Subtract)]) {
            let right = self.product()?;
            left = self.node(Expression::Call(function, vec![left, right]))?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, String> {
        let operators = [('*', Function::Multiply), ('/', Function::Divide), ('%', Function::Modulo)];
        let mut left = self.signed()?;
        while let Some(function) = self.operator(&operators) {
            let right = self.signed()?;
            left = self.node(Expression::Call(function, vec![left, right]))?;
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(char, Function)]) -> Option<Function> {
        operators.iter().find(|(sign, _)| self.take(*sign)).map(|(_, function)| *function)
    }

    fn signed(&mut self) -> Result<Expression, String> {
        self.deeper(|parser| {
            if parser.take('-') {
                // The smallest integer has no positive twin.
                if parser.rest.starts_with(|c: char| c.is_ascii_digit()) {
                    return parser.number("-");
                }
                let operand = parser.signed()?;
                return parser.node(Expression::Call(Function::Negate, vec![operand]));
            }
            if parser.take('+') { parser.signed() } else { parser.atom() }
        })
    }

    fn atom(&mut self) -> Result<Expression, String> {
        let begins_name = |c: char| c.is_alphabetic() || c == '_';
        if self.take('(') {
            let inner = self.deeper(Self::sum)?;
            return if self.take(')') { Ok(inner) } else { Err(self.unexpected()) };
        }
        if self.take(':') {
            let name = self.name();
            let slot = (self.variable)(name)?;
            return self.node(Expression::Variable(slot));
        }
        match self.rest.chars().next() {
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(""),
            Some(c) if begins_name(c) => {
                let name = self.name();
                self.call(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let shown: String = name.chars().take(30).collect();
        let Some((function, least, most)) = function(name) else {
            return Err(format!(
                "{shown} is not supported: functions are abs, double, exp, greatest, int, least, ln, mod, pi, power, \
                 random, random_exponential, random_gaussian, random_zipfian and sqrt"
            ));
        };
        if !self.take('(') {
            return Err(format!("{shown} needs its arguments in parentheses"));
        }
        let mut arguments = Vec::new();
        while !self.take(')') {
            if !arguments.is_empty() && !self.take(',') {
                return Err(self.unexpected());
            }
            arguments.push(self.deeper(Self::sum)?);
        }
        if !(least..=most).contains(&arguments.len()) {
            return Err(format!("{shown} takes {least} arguments, not {}", arguments.len()));
        }
        self.node(Expression::Call(function, arguments))
    }

    fn number(&mut self, sign: &str) -> Result<Expression, String> {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = digits(self.rest);
        let is_int = !self.rest[length..].starts_with(['.', 'e', 'E']);
        if self.rest[length..].starts_with('.') {
            length += 1 + digits(&self.rest[length + 1..]);
        }
        if let Some(exponent) = self.rest[length..].strip_prefix(['e', 'E']) {
            let signed = usize::from(exponent.starts_with(['+', '-']));
            length += 1 + signed + digits(&exponent[signed..]);
        }
        let text = format!("{sign}{}", &self.rest[..length]);
        self.advance(length);
        let fault =
            |text: &str| format!("{} is not a number that fits", text.chars().take(30).collect::<String>());
        let number = if is_int {
            Expression::Int(text.parse().map_err(|_| fault(&text))?)
        } else {
            let number: f64 = text.parse().map_err(|_| fault(&text))?;
            Expression::Double(Some(number).filter(|n| n.is_finite()).ok_or_else(|| fault(&text))?)
        };
        self.node(number)
    }

    fn name(&mut self) -> &'a str {
        let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let name = &self.rest[..length];
        self.advance(length);
        name
    }

    fn take(&mut self, sign: char) -> bool {
        let is_next = self.rest.starts_with(sign);
        if is_next {
            self.advance(sign.len_utf8());
        }
        is_next
    }

    fn advance(&mut self, length: usize) {
        self.rest = self.rest[length..].trim_start();
    }

    fn node(&mut self, expression: Expression) -> Result<Expression, String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { Err("the expression is too long".to_owned()) } else { Ok(expression) }
    }

    fn deeper(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > 3 * MAX_DEPTH {
            return Err("the expression is nested too deep".to_owned());
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            None => "the expression ends too early".to_owned(),
            Some(c) if "<>=!|&#~".contains(c) => {
                format!(
                    "{c} is not supported: an expression has numbers, :variables, + - * / %, functions and parentheses"
                )
            }
            Some(_) => {
                format!(
                    "the expression can't be read from {:?} on",
                    self.rest.chars().take(20).collect::<String>()
                )
            }
        }
    }
}
