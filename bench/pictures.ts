/**
 * The pictures of docs/cost.md, as SVG. The same figures make the same bytes: nothing in them depends on machine or time, and
 * no text is measured by a font that happens to be installed.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BarChart, type BarSeriesOption, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent } from "echarts/components";
import { type EChartsCoreOption, init, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";
import type { BillDetails } from "./bill.ts";

use([BarChart, LineChart, GridComponent, LegendComponent, LabelLayout, SVGRenderer]);

/** By file name; `figures.json` has what they are drawn from. */
export function draw(bill: BillDetails): ReadonlyMap<string, string> {
  return new Map([
    ["figures.json", `${JSON.stringify(bill, undefined, 2)}\n`],
    ["bill.svg", drawBill(bill)],
    ["peers.svg", drawPeers(bill)],
    ["chains.svg", drawChains(bill)],
  ]);
}

export async function writePictures(folder: string, bill: BillDetails): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of draw(bill)) await writeFile(join(folder, name), text);
}

/** Dollars by service, stacked, for each graph. */
function drawBill({ graphs }: BillDetails): string {
  const services = [...new Set(graphs.flatMap((graph) => Object.keys(graph.services)))];
  return chartOf(graphs.length, {
    ...besideEachOther("dollars for a million steps"),
    yAxis: categories(graphs.map(({ graph, outputBytes }) => `${graph}, ${outputBytes} B`)),
    series: services.map(
      (service): BarSeriesOption => ({
        name: service,
        type: "bar",
        stack: "services",
        data: graphs.map(({ services: dollars }) => (dollars as Readonly<Record<string, number>>)[service] ?? 0),
      }),
    ),
  });
}

/** Ours beside what others would bill, for small outputs. */
function drawPeers({ graphs }: BillDetails): string {
  const small = graphs.filter(({ outputBytes }) => outputBytes === graphs[0]?.outputBytes);
  const peers = Object.keys(small[0]?.peers ?? {});
  const of = (name: string, dollars: (graph: (typeof small)[number]) => number): BarSeriesOption => ({
    name,
    type: "bar",
    label: { show: true, position: "right", color: ink.light, formatter: ({ value }) => Number(value).toFixed(2) },
    data: small.map(dollars),
  });
  return chartOf(small.length * 2.2, {
    ...besideEachOther("dollars for a million steps"),
    yAxis: categories(small.map(({ graph }) => graph)),
    series: [of("Pawl", ({ dollars }) => dollars), ...peers.map((peer) => of(peer, (graph) => graph.peers[peer] ?? 0))],
  });
}

/** Write units of a step, by the length of the chain. */
function drawChains({ chains }: BillDetails): string {
  return chartOf(12, {
    ...plain,
    grid: { left: 48, right: 40, top: 40, bottom: 50 },
    xAxis: { ...axis, type: "value", name: "steps of the chain", nameLocation: "middle", nameGap: 28 },
    yAxis: {
      ...axis,
      type: "value",
      name: "write units of a step",
      nameTextStyle: { color: ink.light, align: "left" },
    },
    series: [
      {
        type: "line",
        label: { show: true, position: "top", color: ink.light, formatter: writesOf },
        labelLayout: { hideOverlap: true },
        data: chains.map(({ steps, tableWrites }) => [steps, tableWrites]),
      },
    ],
  });
}

/** Of a point, whose first number is the length of its chain. */
function writesOf({ value }: { readonly value?: unknown }): string {
  return Array.isArray(value) ? Number(value[1]).toFixed(2) : "";
}

/** Of text and of lines; the first of each can be seen on black, too, where a viewer does not tell. */
const ink = { light: "#6b7580", dark: "#a9b2bd" };
const grid = { light: "#a9b0b9", dark: "#4a525c" };

const axis = {
  axisLabel: { color: ink.light },
  axisLine: { lineStyle: { color: grid.light } },
  splitLine: { lineStyle: { color: grid.light, opacity: 0.5 } },
  nameTextStyle: { color: ink.light },
};

/** Colours that are told from each other by who sees no red or no green, and stand out from white and from black. */
const plain: EChartsCoreOption = {
  animation: false,
  color: ["#4477aa", "#ddaa33", "#44a383", "#cc6677", "#9271b5", "#5ab4d6"],
  textStyle: { fontFamily: "sans-serif" },
  grid: { left: 210, right: 56, top: 40, bottom: 50 },
};

function besideEachOther(unit: string): EChartsCoreOption {
  return {
    ...plain,
    legend: { top: 0, itemGap: 36, textStyle: { color: ink.light } },
    xAxis: { ...axis, type: "value", name: unit, nameLocation: "middle", nameGap: 28 },
  };
}

/** The first on top. */
function categories(names: readonly string[]): object {
  return { ...axis, type: "category", inverse: true, axisTick: { show: false }, data: names };
}

const width = 760;
const rowHeight = 26;
const around = 90;

/** @param rows as high as a bar and its gap */
function chartOf(rows: number, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height: Math.round(rows * rowHeight) + around });
  try {
    chart.setOption(option);
    return inBothModes(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/** Without what only a mouse in a page would meet, and without the number of charts drawn before; with the colours of the dark. */
function inBothModes(svg: string): string {
  const dark = [ink, grid].flatMap(({ light, dark }) => [
    `[fill="${light}"]{fill:${dark}}`,
    `[stroke="${light}"]{stroke:${dark}}`,
  ]);
  const style = `<style>@media (prefers-color-scheme: dark){${dark.join("")}}</style>`;
  return svg
    .replace(/<style >[^]*?<\/style>\n?/, "")
    .replaceAll(/ (?:class|ecmeta_\w+)="[^"]*"/g, "")
    .replaceAll(/\bzr\d+-/g, "")
    .replace(/(<svg [^>]*>)/, `$1\n${style}`)
    .concat("\n");
}
