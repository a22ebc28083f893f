//! The pen: text, lines and squares on one page, in points from its upper left corner.

use krilla::{
    color::luma,
    geom::{PathBuilder, Point, Rect, Transform},
    num::NormalizedF32,
    paint::{Fill, FillRule},
    surface::Surface,
};

use super::{SheetError, fonts::Typeface};

/// Draws on one page.
pub(super) struct Pen<'s, 'p> {
    pub(super) surface: &'s mut Surface<'p>,
}

/// How dark: 0 is black, 255 is paper.
#[derive(Clone, Copy)]
pub(super) struct Ink(u8);

/// Black.
pub(super) const BLACK: Ink = Ink(0);
/// For what is read second.
pub(super) const GREY: Ink = Ink(96);
/// Rules and lines.
pub(super) const LINE: Ink = Ink(150);
/// Lines between words.
pub(super) const PALE: Ink = Ink(205);
/// None.
pub(super) const PAPER: Ink = Ink(255);

impl Pen<'_, '_> {
    /// One line of text, `y` its base line; answers where it ends.
    pub(super) fn text(
        &mut self,
        x: f32,
        y: f32,
        face: &Typeface,
        size: f32,
        text: &str,
        ink: Ink,
    ) -> Result<f32, SheetError> {
        let glyphs = face.glyphs(text).ok_or(SheetError::Text("text"))?;
        let width: f32 = glyphs.iter().map(|g| g.x_advance).sum::<f32>() * size;
        self.fill(ink);
        let font = face.font.clone();
        self.surface
            .draw_glyphs(Point::from_xy(x, y), &glyphs, font, text, size, false);
        Ok(x + width)
    }

    /// One line of text that ends at `x`.
    pub(super) fn text_left_of(
        &mut self,
        x: f32,
        y: f32,
        face: &Typeface,
        size: f32,
        text: &str,
        ink: Ink,
    ) -> Result<(), SheetError> {
        let width = face.width(text, size).ok_or(SheetError::Text("text"))?;
        self.text(x - width, y, face, size, text, ink).map(|_| ())
    }

    /// Text broken into lines of at most `width`, the first base line at `y`; answers the base line after the last.
    pub(super) fn paragraph(
        &mut self,
        at: (f32, f32),
        width: f32,
        face: &Typeface,
        size: f32,
        text: &str,
    ) -> Result<f32, SheetError> {
        let (x, mut y) = at;
        for line in broken(text, width, face, size)? {
            self.text(x, y, face, size, &line, BLACK)?;
            y += size * 1.32;
        }
        Ok(y)
    }

    /// A filled rectangle.
    pub(super) fn bar(
        &mut self,
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        ink: Ink,
    ) -> Result<(), SheetError> {
        let rect = Rect::from_xywh(x, y, width, height).ok_or(SheetError::Pdf)?;
        let mut path = PathBuilder::new();
        path.push_rect(rect);
        self.path(path, ink)
    }

    /// Squares of a grid (a QR code) as one shape: neighbours leave no hair line between them.
    pub(super) fn squares(
        &mut self,
        x: f32,
        y: f32,
        size: f32,
        squares: impl Iterator<Item = (u16, u16, u16)>,
    ) -> Result<(), SheetError> {
        let mut path = PathBuilder::new();
        for (column, row, length) in squares {
            let left = x + f32::from(column) * size;
            let top = y + f32::from(row) * size;
            let rect = Rect::from_xywh(left, top, f32::from(length) * size, size)
                .ok_or(SheetError::Pdf)?;
            path.push_rect(rect);
        }
        self.path(path, BLACK)
    }

    /// Large pale text across the page, beneath everything else.
    pub(super) fn watermark(
        &mut self,
        centre: (f32, f32),
        face: &Typeface,
        size: f32,
        text: &str,
    ) -> Result<(), SheetError> {
        let width = face.width(text, size).ok_or(SheetError::Pdf)?;
        self.surface
            .push_transform(&Transform::from_rotate_at(-52.0, centre.0, centre.1));
        let drawn = self.text(
            centre.0 - width / 2.0,
            centre.1 + size * 0.36,
            face,
            size,
            text,
            Ink(234),
        );
        self.surface.pop();
        drawn.map(|_| ())
    }

    fn path(&mut self, path: PathBuilder, ink: Ink) -> Result<(), SheetError> {
        self.fill(ink);
        self.surface
            .draw_path(&path.finish().ok_or(SheetError::Pdf)?);
        Ok(())
    }

    fn fill(&mut self, ink: Ink) {
        self.surface.set_fill(Some(Fill {
            paint: luma::Color::new(ink.0).into(),
            opacity: NormalizedF32::ONE,
            rule: FillRule::NonZero,
        }));
    }
}

/// Breaks at spaces; a word that is longer than a line is refused.
fn broken(text: &str, width: f32, face: &Typeface, size: f32) -> Result<Vec<String>, SheetError> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let longer = if line.is_empty() {
            word.to_owned()
        } else {
            format!("{line} {word}")
        };
        let fits = |text: &str| {
            face.width(text, size)
                .map(|w| w <= width)
                .ok_or(SheetError::Text("text"))
        };
        if fits(&longer)? {
            line = longer;
        } else {
            if line.is_empty() || !fits(word)? {
                return Err(SheetError::Text("text"));
            }
            lines.push(std::mem::replace(&mut line, word.to_owned()));
        }
    }
    lines.push(line);
    Ok(lines)
}
