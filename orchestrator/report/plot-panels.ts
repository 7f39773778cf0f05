/** Panels in two columns that share a legend. */
import { PANEL_HEIGHT, PANEL_WIDTH } from './plot-data';
import { chooseTheme, drawSpec, type Layer, type Styles } from './plot-theme';

export function drawPanels(
  text: string,
  subtitle: string,
  panels: readonly { title: string; layer: Layer[] }[],
  styles: Styles,
): Promise<string> {
  return drawSpec({
    title: { text, subtitle: [subtitle] },
    concat: panels.map(({ title, layer }) => ({
      title,
      width: PANEL_WIDTH,
      height: PANEL_HEIGHT,
      layer,
    })),
    columns: 2,
    spacing: 30,
    ...chooseTheme(styles),
  });
}
