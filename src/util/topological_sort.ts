/**
 * Orders nodes so that each comes after those it depends on. Nodes that depend on each other in a
 * ring come together, as one group of several.
 *
 * Tarjan's strongly connected components (SIAM J. Comput. 1(2), 1972), iterative so that long
 * chains cannot overflow the stack. O(nodes + edges); ties keep the order of `nodes`.
 *
 * @param dependencies What a node depends on; nodes that were not given are passed over.
 */
export function topologicalSort<T>(
  nodes: readonly T[],
  dependencies: (node: T) => Iterable<T>,
): T[][] {
  const known = new Set(nodes);
  const indexOf = new Map<T, number>();
  const lowOf = new Map<T, number>();
  const onStack = new Set<T>();
  const stack: T[] = [];
  const groups: T[][] = [];

  const enter = (node: T) => {
    indexOf.set(node, indexOf.size);
    lowOf.set(node, indexOf.get(node)!);
    stack.push(node);
    onStack.add(node);
    return { node, rest: dependencies(node)[Symbol.iterator]() };
  };

  for (const root of nodes) {
    if (indexOf.has(root)) continue;
    const path = [enter(root)];
    while (path.length > 0) {
      const { node, rest } = path[path.length - 1]!;
      const next = rest.next();
      if (!next.done) {
        const dependency = next.value;
        if (!known.has(dependency)) continue;
        if (!indexOf.has(dependency)) path.push(enter(dependency));
        else if (onStack.has(dependency)) {
          lowOf.set(node, Math.min(lowOf.get(node)!, indexOf.get(dependency)!));
        }
        continue;
      }
      path.pop();
      const parent = path[path.length - 1];
      if (parent !== undefined) {
        lowOf.set(parent.node, Math.min(lowOf.get(parent.node)!, lowOf.get(node)!));
      }
      if (lowOf.get(node) === indexOf.get(node)) {
        const group: T[] = [];
        let member: T;
        do {
          member = stack.pop()!;
          onStack.delete(member);
          group.push(member);
        } while (member !== node);
        groups.push(group.reverse());
      }
    }
  }
  return groups;
}
